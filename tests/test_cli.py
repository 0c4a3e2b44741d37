"""`python -m inplace`: what it reports of a script, where, and what it says of a command line it can't use."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from inplace.render.words.contract import diagnoses
from tests.commands import POSIX, python, run_inplace, script
from tests.recording import record_text

SCHEMA: dict[str, Any] = json.loads((files("inplace.render.words") / "diagnoses.schema.json").read_text())

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
    ours = run_inplace("run", "--json", tmp_path / "out.json", path, "a", "--json")

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


# ------------------------------------------------------------ where the report goes


def test_json_on_standard_output(tmp_path: Path) -> None:
    """`--json -` writes to stdout, after the script's own output."""
    path = script(tmp_path, "print('mine')\n")

    ours = python("-m", "inplace", "run", "--quiet", "--json", "-", path)

    first, rest = ours.stdout.split("\n", 1)
    assert first == "mine"
    assert json.loads(rest) == {
        "format": 1,
        "complete": True,
        "reason": None,
        "error": None,
        "calls": 0,
        "diagnoses": [],
        "not_looked_at": [],
        "gradients": None,
        "process": None,
        "compared": None,
    }


def test_a_script_cannot_take_the_report_away(tmp_path: Path) -> None:
    """Relative names mean the folder we were called in, and the streams are those we were given."""
    text = "import os, sys, io\nimport torch\nos.chdir('/')\ntorch.ones(1).add_(1)\nprint('mine')\n"
    path = script(tmp_path, text + "sys.stdout.close()\nsys.stderr = io.StringIO()\n")
    options = ["--json", "-", "--html", "page.html", "--trace", "trace.json"]

    ours = run_inplace("run", *options, path, folder=tmp_path)

    assert ours.returncode == 0
    assert json.loads(ours.stdout.removeprefix("mine\n"))["calls"] == 2
    assert "2 calls" in ours.stderr
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "trace.json").read_text())["format"] == 6


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

    assert done.stderr == "inplace: this script made no call that is recorded, so there is nothing to show.\n"
    assert "inplace" not in failed.stderr


def test_nothing_is_left_open(tmp_path: Path) -> None:
    """Python's development mode, which tells of files left open, has nothing to say."""
    path = script(tmp_path, "print('mine')\n")

    ours = python("-X", "dev", "-m", "inplace", "run", "--quiet", "--json", "-", path)

    assert "ResourceWarning" not in ours.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk as Linux has one")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """A report that can't be written is one line; the script's exit status stays."""
    path = script(tmp_path, "import sys, torch\ntorch.ones(1)\nsys.exit(3)\n")

    ours = run_inplace("run", "--quiet", "--json", "/dev/full", path)

    assert ours.returncode == 3
    assert ours.stderr == "inplace: /dev/full can't be written (No space left on device).\n"


@POSIX
def test_pipes_are_opened_once(tmp_path: Path) -> None:
    """A script that comes out of a pipe and a report that goes into one are not lost to a look beforehand."""
    os.mkfifo(tmp_path / "in.py")
    os.mkfifo(tmp_path / "out.json")
    shell = "echo 'print(1)' > in.py & cat out.json > read.json & wait"
    with subprocess.Popen(["/bin/sh", "-c", shell], cwd=tmp_path) as other:
        ours = python("-m", "inplace", "run", "--quiet", "--json", "out.json", "in.py", folder=tmp_path)
        other.wait()

    assert (ours.returncode, ours.stdout) == (0, "1\n")
    assert json.loads((tmp_path / "read.json").read_text())["calls"] == 0


FAULTS = {
    "analysis": ("import inplace.fixes.diagnose\ninplace.fixes.diagnose.KINDS = None\n", 1),
    "recording": (
        "import inplace.capture.record as ours\n"
        "def broken(*a): raise ValueError('two\\nlines')\n"
        "ours.freeze = broken\n",
        0,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_ours_is_one_line(name: str, tmp_path: Path) -> None:
    """The script's words and exit status stay when our own code fails; the JSON tells of the script's error alone."""
    fault, calls = FAULTS[name]
    path = script(tmp_path, f"import torch\n{fault}torch.ones(1)\nprint('mine')\n{{}}['k']\n")
    plain = python(path)

    ours = run_inplace("run", "--json", "out.json", path, folder=tmp_path)

    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout) == (1, "mine\n")
    said = ours.stderr.removeprefix(plain.stderr)
    assert said.startswith("inplace: no full report, because of a fault of ours (")
    assert said.count("\n") == 1
    found = json.loads((tmp_path / "out.json").read_text())
    jsonschema.validate(found, SCHEMA)
    line = len(path.read_text().splitlines())
    reason = said.removeprefix("inplace: n").rstrip("\n")
    assert found == {
        "format": 1,
        "complete": False,
        "reason": f"N{reason}",
        "error": {"type": "KeyError", "message": "'k'", "file": str(path), "line": line},
        "calls": calls,
        "diagnoses": [],
        "not_looked_at": [],
        "gradients": None,
        "process": None,
        "compared": None,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "missing.py"], "missing.py can't be read (No such file or directory): check the path"),
        (["run", "."], ". is a directory: name a script in it"),
        (["run"], "SCRIPT is required"),
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
    ran = run_inplace("run", "--trace", "trace.json", "--json", "ran.json", path, folder=tmp_path)

    shown = run_inplace("show", "--json", "shown.json", "trace.json", folder=tmp_path)

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


def test_option_behind_the_script_gets_a_hint(tmp_path: Path) -> None:
    """Where the script never mentions it; one that it has is its own business."""
    path = script(tmp_path, "import sys\nprint(sys.argv[1:])")

    done = python("-m", "inplace", "run", path, "--json", "out.json")
    assert done.stdout == "['--json', 'out.json']\n"
    assert "inplace: --json stands behind the script, and so is the script's" in done.stderr

    path.write_text("import argparse\np = argparse.ArgumentParser()\np.add_argument('--json')\np.parse_args()")
    assert "stands behind" not in python("-m", "inplace", "run", path, "--json", "out.json").stderr


def test_a_run_that_never_ends_is_let_go_of(tmp_path: Path) -> None:
    """`--keep`: what an early window shows is told in the end, in text, JSON and page; output and status are plain."""
    path = script(
        tmp_path,
        "import torch\nx = torch.ones(3, requires_grad=True)\nfor i in range(9000):\n    h = x.sigmoid()\n"
        "    if i == 5:\n        h.data.mul_(2)\n    h.sum().backward()\nprint(x.grad.sum())\n",
    )

    plain = python(path)
    ours = run_inplace("run", "--keep", "--json", tmp_path / "out.json", "--html", tmp_path / "p.html", path)

    found = json.loads((tmp_path / "out.json").read_text())
    jsonschema.validate(found, SCHEMA)
    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout)
    assert [(one["kind"], one["culprits"][0]["line"]) for one in found["diagnoses"]] == [("silent-corruption", 6)]
    assert found["windows"]["count"] == 2
    assert found["calls"] == 27_005
    assert "27005 calls in 2 windows" in ours.stderr
    assert f"let go of: {found['windows']['let_go']:,} calls in 1 window" in ours.stderr
    assert "h.data.mul_(2)" in (tmp_path / "p.html").read_text()


@pytest.mark.parametrize("option", [["--trace", "t.json"], ["--patch", "-"], ["--verify"], ["--advise"]])
def test_what_needs_all_calls_is_refused_beside_keep(tmp_path: Path, option: list[str]) -> None:
    """In one sentence, before anything runs."""
    path = script(tmp_path, "print('ran')\n")

    ours = python("-m", "inplace", "run", "--keep", *option, path)

    assert (ours.returncode, ours.stdout) == (2, "")
    assert ours.stderr.strip().endswith(
        f"--keep lets go of calls, and {option[0]} needs all of them: leave one of the two out."
    )


@pytest.mark.parametrize("size", ["0", "-3", "nan", "some", "0.5MB"])
def test_a_window_that_is_none_is_refused(tmp_path: Path, size: str) -> None:
    """In one sentence, before anything runs."""
    ours = python("-m", "inplace", "run", f"--keep={size}", script(tmp_path, "print('ran')\n"))

    assert (ours.returncode, ours.stdout) == (2, "")
    assert ours.stderr.strip() == (
        "inplace: --keep takes the megabytes of a window, 1 or more (64 where none are given), "
        f"not {size!r}, as in --keep=32."
    )


KEPT_CHILD = """
import sys, torch
import multiprocessing

def child():
    w = torch.ones(4, requires_grad=True)
    for i in range(300):
        h = torch.sigmoid(w)
        if i == 3:
            h.data.mul_(2)
        h.sum().backward()

if __name__ == "__main__":
    process = multiprocessing.get_context(sys.argv[1]).Process(target=child)
    process.start()
    process.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_of_a_run_that_lets_go_let_go_too(tmp_path: Path, method: str) -> None:
    """What an early window of a child shows is told with it, and how many of its calls were let go of."""
    path = script(tmp_path, KEPT_CHILD)

    ours = run_inplace("run", "--keep=1", "--json", tmp_path / "out.json", path, method)

    found = json.loads((tmp_path / "out.json").read_text())
    jsonschema.validate(found, SCHEMA)
    assert [(one["kind"], one["culprits"][0]["line"]) for one in found["diagnoses"]] == [("silent-corruption", 10)]
    (windows,) = [one["windows"] for one in found["processes"] if "windows" in one]
    assert windows["count"] > 2
    assert f"{windows['let_go']:,} calls in {windows['count'] - 1} windows" in " ".join(ours.stderr.split())
