"""`python -m inplace run` leaves the script alone, and reports beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from inplace.contract import diagnoses
from tests.recording import record_text

SCHEMA: dict[str, Any] = json.loads((files("inplace") / "diagnoses.schema.json").read_text())
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, forks and file numbers as POSIX has them")


def python(*arguments: object, stdin: str = "", folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with some arguments."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=folder, check=False)


def script(folder: Path, text: str) -> Path:
    """Write a script."""
    path = folder / "script.py"
    path.write_text(text)
    return path


FAILING = """\
import sys
import torch
x = torch.ones(3, requires_grad=True)
h = torch.sigmoid(x)
h.relu_()
print("out", sys.argv[1:], file=sys.stdout)
h.sum().backward()
"""


def test_a_failing_script_is_left_alone(tmp_path: Path) -> None:
    """Output, traceback and exit status are plain Python's; the report follows on stderr, the JSON goes to its file."""
    path = script(tmp_path, FAILING)

    plain = python(path, "a", "--json")
    ours = python("-m", "inplace", "run", "--json", tmp_path / "out.json", path, "a", "--json")

    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout)
    assert ours.stderr.startswith(plain.stderr)
    assert "h.relu_() changed h after line 4 saved it" in ours.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    jsonschema.validate(found, SCHEMA)
    assert found["error"]["type"] == "RuntimeError"
    assert found["error"]["line"] == 7
    (diagnosis,) = [d for d in found["diagnoses"] if d["severity"] == "error"]
    assert diagnosis["kind"] == "saved-tensor-modified"
    assert [(p["line"], p["col"], p["end_col"], p["code"]) for p in diagnosis["culprits"]] == [(5, 0, 9, "h.relu_()")]
    assert (diagnosis["victim"]["line"], diagnosis["victim"]["node"]) == (4, "SigmoidBackward0")
    assert "h" in diagnosis["names"]


PROGRAMS = {
    "status": "import sys; sys.exit(7)",
    "sentence": "import sys; sys.exit('sorry')",
    "true": "import sys; sys.exit(True)",
    "no status": "raise SystemExit",
    "exception": "def f():\n    return 1 / 0\nf()",
    "cause": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('x') from error",
    "cause that was never raised": "raise ValueError('x') from KeyError('y')",
    "context": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError('k')",
    "refused by torch": "import torch\nx = torch.ones(2, requires_grad=True)\nx.add_(1)",
    "syntax error": "x = (",
    "indentation": "if 1:\nx = 1",
    "input": "print(input())",
    "names": "import sys; print(__file__, sys.argv, sys.path[0], __name__, __spec__, __package__, __doc__)",
    "globals": "'''doc'''\nprint(sorted(globals()), __doc__, type(__loader__), type(__builtins__))",
    "main module": "import __main__\nx = 3\nprint(__main__.x, __main__.__file__)",
    "annotations": "def f(x: int): pass\nprint(f.__annotations__)",
    "class variables": (
        "from dataclasses import dataclass\nfrom typing import ClassVar\n"
        "@dataclass\nclass A:\n    x: int\n    y: 'ClassVar[int]' = 3\nprint(A(1))"
    ),
    "encoding": "# -*- coding: latin-1 -*-\nprint(ascii('\xe9'))",
    "warnings": "print((x := 1) is 1)\nimport warnings\nwarnings.warn('w', DeprecationWarning)",
    "other folder": "import os\nos.chdir('/')\n1 / 0",
    "own hook": "import sys\nsys.excepthook = lambda *a: print('hook', a[0], a[1])\n1 / 0",
    "hook that fails": "import sys\ndef hook(*a): raise ValueError('x')\nsys.excepthook = hook\n1 / 0",
    "closed output": "import sys\nsys.stdout.close()",
    "closed errors": "import sys\nsys.stderr.close()",
    "other output": "import sys, io\nprint('x')\nsys.stdout = io.StringIO()\nprint('y')",
    "last words": "import atexit\natexit.register(lambda: print('bye'))\nprint('hi')\nraise SystemExit('m')",
    "last exception": "import atexit, sys\natexit.register(lambda: print(sys.last_type, sys.last_value))\n1 / 0",
    "thread": (
        "import threading\ngo = threading.Event()\n"
        "threading.Thread(target=lambda: (go.wait(), print('late'))).start()\nprint('main')\ngo.set()"
    ),
    "pickle": "class A: pass\nimport pickle\nprint(type(pickle.loads(pickle.dumps(A()))) is A)",
    "source": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "sudden end": "import os\nprint('a', flush=True)\nos._exit(5)",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_scripts_run_as_in_plain_python(name: str, tmp_path: Path) -> None:
    """Exit status, stdout and stderr are the same, whatever the script asks or ends with."""
    script(tmp_path, "").write_bytes((PROGRAMS[name] + "\n").encode("latin-1"))
    command = ["script.py", "a", "--", "-x", "--json", "--help"]

    plain = python(*command, stdin="line\n", folder=tmp_path)
    ours = python("-m", "inplace", "run", "--quiet", *command, stdin="line\n", folder=tmp_path)

    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)


@POSIX
@pytest.mark.parametrize("text", ["raise KeyboardInterrupt", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)"])
def test_an_interrupt_ends_it_as_python_ends(text: str, tmp_path: Path) -> None:
    """An interrupted script ends with the signal itself, as a shell's loop needs it, after its traceback."""
    path = script(tmp_path, text + "\n")

    plain = python(path)
    ours = python("-m", "inplace", "run", "--quiet", "--json", tmp_path / "out.json", path)

    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert json.loads((tmp_path / "out.json").read_text())["error"]["type"] == "KeyboardInterrupt"


@POSIX
def test_a_fork_of_the_script_reports_nothing(tmp_path: Path) -> None:
    """Only the process that was asked reports."""
    path = script(
        tmp_path,
        "import os, torch\ntorch.ones(1).add_(1)\nif os.fork() == 0:\n    raise SystemExit\nos.wait()\n",
    )

    ours = python("-m", "inplace", "run", "--json", "-", path)

    assert json.loads(ours.stdout)["calls"] == 2
    assert ours.stderr.count("2 calls") == 1


def test_workers_import_the_script(tmp_path: Path) -> None:
    """Spawned processes find the script as their main module."""
    path = script(
        tmp_path,
        "import multiprocessing as mp\n"
        "def double(x):\n    return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    with mp.get_context('spawn').Pool(1) as pool:\n        print(pool.map(double, [1, 2]))\n",
    )

    ours = python("-m", "inplace", "run", "--quiet", path)

    assert (ours.stdout, ours.returncode) == ("[2, 4]\n", 0)


# ------------------------------------------------------------ where the report goes


def test_json_on_standard_output(tmp_path: Path) -> None:
    """`--json -` writes to stdout, after the script's own output."""
    path = script(tmp_path, "print('mine')\n")

    ours = python("-m", "inplace", "run", "--quiet", "--json", "-", path)

    first, rest = ours.stdout.split("\n", 1)
    assert first == "mine"
    assert json.loads(rest) == {"format": 1, "error": None, "calls": 0, "diagnoses": []}


def test_a_script_cannot_take_the_report_away(tmp_path: Path) -> None:
    """Relative names mean the folder we were called in, and the streams are those we were given."""
    text = "import os, sys, io\nimport torch\nos.chdir('/')\ntorch.ones(1).add_(1)\nprint('mine')\n"
    path = script(tmp_path, text + "sys.stdout.close()\nsys.stderr = io.StringIO()\n")
    options = ["--json", "-", "--html", "page.html", "--trace", "trace.json"]

    ours = python("-m", "inplace", "run", *options, path, folder=tmp_path)

    assert ours.returncode == 0
    assert json.loads(ours.stdout.removeprefix("mine\n"))["calls"] == 2
    assert "2 calls" in ours.stderr
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "trace.json").read_text())["format"] == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x = = 1\n", ("SyntaxError", 1)),
        ("def f():\n    return {}['k']\nf()\n", ("KeyError", 2)),
        ("raise SystemExit('no')\n", None),
    ],
)
def test_the_error_of_the_json(text: str, error: tuple[str, int] | None, tmp_path: Path) -> None:
    """`error` is the uncaught exception and the user's innermost line; a wish to exit is none."""
    path = script(tmp_path, text)

    found = json.loads(python("-m", "inplace", "run", "--quiet", "--json", "-", path).stdout)

    jsonschema.validate(found, SCHEMA)
    told = found["error"]
    assert (told and (told["type"], told["line"])) == error
    assert told is None or told["file"] == str(path)


def test_a_script_without_tensors_gets_one_line(tmp_path: Path) -> None:
    """Where there is nothing to show we say so, and nothing at all where the script has failed before."""
    done, failed = (python("-m", "inplace", "run", script(tmp_path, text)) for text in ("1\n", "x = = 1\n"))

    assert done.stderr == "inplace: this script called no tensor function, so there is nothing to show.\n"
    assert "inplace" not in failed.stderr


def test_nothing_is_left_open(tmp_path: Path) -> None:
    """Python's development mode, which tells of files left open, has nothing to say."""
    path = script(tmp_path, "print('mine')\n")

    ours = python("-X", "dev", "-m", "inplace", "run", "--quiet", "--json", "-", path)

    assert "ResourceWarning" not in ours.stderr


@POSIX
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """A report that can't be written is one line; the script's exit status stays."""
    path = script(tmp_path, "import sys, torch\ntorch.ones(1)\nsys.exit(3)\n")

    ours = python("-m", "inplace", "run", "--quiet", "--json", "/dev/full", path)

    assert ours.returncode == 3
    assert ours.stderr == "inplace: the report can't be written (No space left on device).\n"


def test_a_fault_of_ours_is_one_line(tmp_path: Path) -> None:
    """The script's output and exit status stay when our own code fails, and no JSON claims that all is well."""
    path = script(
        tmp_path,
        "import sys, torch\nimport inplace.analysis\ninplace.analysis.CHECKS = None\ntorch.ones(1)\nsys.exit(3)\n",
    )

    ours = python("-m", "inplace", "run", "--json", "out.json", path, folder=tmp_path)

    assert (ours.returncode, ours.stdout) == (3, "")
    assert ours.stderr.startswith("inplace: no full report, because of a fault of ours (TypeError: ")
    assert ours.stderr.count("\n") == 1
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "missing.py"], "missing.py can't be read (No such file or directory): check the path"),
        (["run", "."], ". is a directory: name a script in it"),
        (["run"], "required: SCRIPT"),
        (["run", "--json", "no/such/folder.json", "ok.py"], "no/such/folder.json can't be written"),
        (["run", "--html", "ok.py", "ok.py"], "ok.py is the script itself and would be overwritten"),
        (["run", "--unknown", "ok.py"], "unrecognized arguments: --unknown"),
        (["run", "--json"], "--json: expected one argument"),
        (["show", "ok.py"], "ok.py: this is not a torch-inplace trace"),
        (["show", "missing.json"], "missing.json can't be read"),
        (["walk", "ok.py"], "invalid choice: 'walk'"),
    ],
)
def test_unusable_command_lines(arguments: list[str], words: str, tmp_path: Path) -> None:
    """A command line that can't be carried out gives one clear sentence and exit status 2, and leaves files alone."""
    (tmp_path / "ok.py").write_text("pass\n")

    done = python("-m", "inplace", *arguments, folder=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith("inplace: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("ok.py", "pass\n")]


def test_help_and_version() -> None:
    """Without a command, what can be done is told; `--version` is one line."""
    nothing, version = python("-m", "inplace"), python("-m", "inplace", "--version")

    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "run a script" in nothing.stderr
    assert version.stdout.startswith("torch-inplace ")


# ------------------------------------------------------------ traces and the contract


def test_a_trace_is_shown_later(tmp_path: Path) -> None:
    """`inplace show` gives the same report and JSON from the trace file as the run did."""
    path = script(tmp_path, FAILING)
    ran = python("-m", "inplace", "run", "--trace", "trace.json", "--json", "ran.json", path, folder=tmp_path)

    shown = python("-m", "inplace", "show", "--json", "shown.json", "trace.json", folder=tmp_path)

    assert (shown.returncode, shown.stderr) == (0, "")
    assert ran.stderr.endswith(shown.stdout)
    assert (tmp_path / "shown.json").read_text() == (tmp_path / "ran.json").read_text()


@pytest.mark.parametrize("name", ["error", "quiet"])
def test_every_report_fits_the_schema(name: str) -> None:
    """The public JSON of reports with and without an error validates, and a wrong one would not."""
    text = "x = torch.ones(3, requires_grad=True)\n" + (
        "x.add_(1)" if name == "error" else "(x * 2).add_(1).sum().backward()"
    )

    value = diagnoses(record_text(text).report)

    jsonschema.validate(value, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**value, "format": 2}, SCHEMA)
