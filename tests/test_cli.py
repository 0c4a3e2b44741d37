"""`python -m inplace run` leaves the script alone, and reports beside it."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize(
    "text",
    [
        "import sys; sys.exit(7)",
        "import sys; sys.exit('sorry')",
        "raise SystemExit",
        "def f():\n    return 1 / 0\nf()",
        "x = (",
        "print(input())",
        "import atexit; atexit.register(print, 'bye'); print(__name__, __file__ is not None, __spec__)",
        "class A: pass\nimport pickle\nprint(type(pickle.loads(pickle.dumps(A()))) is A)",
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise ValueError('x') from error",
    ],
)
def test_scripts_run_as_in_plain_python(text: str, tmp_path: Path) -> None:
    """Exit status, stdout and stderr are the same, whatever ends the script."""
    path = script(tmp_path, text + "\n")

    plain = python(path, stdin="line\n")
    ours = python("-m", "inplace", "run", "--quiet", path, stdin="line\n")

    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)


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


def test_json_on_standard_output(tmp_path: Path) -> None:
    """`--json -` writes to stdout, after the script's own output."""
    path = script(tmp_path, "print('mine')\n")

    ours = python("-m", "inplace", "run", "--quiet", "--json", "-", path)

    first, rest = ours.stdout.split("\n", 1)
    assert first == "mine"
    assert json.loads(rest) == {"format": 1, "error": None, "calls": 0, "diagnoses": []}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "missing.py"], "missing.py can't be read"),
        (["run", "."], "is a directory"),
        (["run", "--json", "no/such/folder.json", "ok.py"], "can't be written"),
        (["show", "ok.py"], "not a torch-inplace trace"),
        (["show", "missing.json"], "missing.json"),
        (["run", "--unknown", "ok.py"], "unrecognized arguments"),
    ],
)
def test_unusable_command_lines(arguments: list[str], words: str, tmp_path: Path) -> None:
    """A command line that can't be carried out gives one clear sentence and exit status 2."""
    (tmp_path / "ok.py").write_text("pass\n")

    done = python("-m", "inplace", *arguments, folder=tmp_path)

    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_trace_is_shown_later(tmp_path: Path) -> None:
    """`inplace show` prints the same report from the trace file as the run did."""
    path = script(tmp_path, FAILING)
    ran = python("-m", "inplace", "run", "--trace", tmp_path / "trace.json", path)

    shown = python("-m", "inplace", "show", tmp_path / "trace.json")

    assert shown.returncode == 0
    assert shown.stdout.strip() in ran.stderr


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
