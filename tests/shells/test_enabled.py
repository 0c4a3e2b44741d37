"""`inplace.enable()` and INPLACE: scripts that record themselves, whoever starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import POSIX, script
from tests.shells.late import LATE

STALE = """\
import torch
x = torch.ones(3, requires_grad=True)
h = torch.sigmoid(x)
h.relu_()
print("out")
h.sum().backward()
"""
FOUND = "h.relu_() changed h after line"


def run(text: str, folder: Path, *arguments: str, says: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script in plain Python, with a value of INPLACE."""
    path = script(folder, text)
    environment = {name: value for name, value in os.environ.items() if name != "INPLACE"}
    if says is not None:
        environment["INPLACE"] = says
    command = [sys.executable, *(arguments or (str(path),))]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


def test_enabled_script_reports_at_its_end(tmp_path: Path) -> None:
    """Output, traceback and status are those of the script without us; the report stands behind them."""
    plain = run("import inplace\n" + "\n" + STALE, tmp_path)
    ours = run("import inplace\ninplace.enable(json='out.json')\n" + STALE, tmp_path)

    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout)
    assert ours.stderr.startswith(plain.stderr)
    assert FOUND + " 5 saved it" in ours.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert (found["error"]["type"], found["error"]["line"]) == ("RuntimeError", 8)


@pytest.mark.one_of(3)
@pytest.mark.parametrize(("says", "is_told"), [(None, False), ("", False), ("0", False), ("1", True), ("on", True)])
def test_variable_has_an_import_record(says: str | None, is_told: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """`import inplace` alone does nothing; with INPLACE=1 the script is recorded."""
    assert (FOUND in run("import inplace\n" + STALE, tmp_path, says=says).stderr) == is_told


def test_variable_switches_off_and_adds_options(tmp_path: Path) -> None:
    """INPLACE=0 keeps `enable()` from it; options are added to its own."""
    text = "import inplace\nprint(inplace.enable(quiet=True))\n" + STALE

    off = run(text, tmp_path, says="0")
    more = run(text, tmp_path, says="--json '{pid} a.json'")

    assert off.stdout == "False\nout\n"
    assert FOUND not in off.stderr
    assert FOUND not in more.stderr
    assert len(list(tmp_path.glob("* a.json"))) == 1


def test_variable_that_is_not_understood_is_told(tmp_path: Path) -> None:
    """In one sentence; the script runs."""
    done = run("import inplace\nprint('out')", tmp_path, says="report.json")

    assert (done.returncode, done.stdout) == (0, "out\n")
    assert done.stderr.startswith("inplace: INPLACE is understood as options of inplace run, or 1 or 0 (")
    assert done.stderr.count("\n") == 1


def test_import_of_a_module_of_the_users_is_enough(tmp_path: Path) -> None:
    """Where another module of the project imports inplace, as a package's `__init__`."""
    (tmp_path / "project.py").write_text("import inplace\n")

    assert FOUND in run("import project\n" + STALE, tmp_path, says="1").stderr


def test_module_that_is_run_is_recorded(tmp_path: Path) -> None:
    """`python -m train` too."""
    told = run("import inplace\n" + STALE, tmp_path, "-m", "script", says="1").stderr

    assert FOUND + " 4 saved it" in told


def test_programs_of_others_are_left_alone(tmp_path: Path) -> None:
    """A tool that imports inplace is no script of the user's, nor is pytest, which knows our plugin."""
    (tmp_path / "test_it.py").write_text("import inplace\ndef test_it():\n    pass\n")

    done = run("", tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py", says="1")

    assert done.returncode == 0
    assert done.stderr == ""


def test_inplace_run_of_an_enabled_script_tells_once(tmp_path: Path) -> None:
    """`inplace run` records it already."""
    text = "import inplace\nprint(inplace.enable())\n" + STALE

    done = run(text, tmp_path, "-m", "inplace", "run", "script.py", says="1")

    assert done.stdout == "True\nout\n"
    assert done.stderr.count(FOUND) == 1


def test_what_a_script_does_at_its_end_comes_first(tmp_path: Path) -> None:
    """What it has registered with `atexit` since runs before the report, and a hook of its own is called."""
    text = (
        "import inplace, atexit, sys\ninplace.enable()\n"
        "atexit.register(lambda: print('bye', file=sys.stderr))\n"
        "sys.excepthook = lambda *error: print('mine', error[0].__name__, file=sys.stderr)\n"
    )

    told = run(text + STALE, tmp_path).stderr

    assert told.startswith("mine RuntimeError\nbye\n")
    assert FOUND in told


@POSIX
def test_children_are_recorded_with_it(tmp_path: Path) -> None:
    """A worker's finding stands in the one report; a child that is started anew does not enable itself."""
    text = (
        "import inplace\nimport multiprocessing as mp\nimport torch\ndef work():\n"
        "    x = torch.ones(3, requires_grad=True)\n    h = torch.sigmoid(x)\n    h.relu_()\n"
        "    try:\n        h.sum().backward()\n    except RuntimeError:\n        pass\n"
        "print(inplace.enable(json='out.json'))\n"
        "if __name__ == '__main__':\n"
        "    one = mp.get_context('{}').Process(target=work)\n    one.start()\n    one.join()\n"
    )

    for method, said in (("fork", "True\n"), ("spawn", "True\nFalse\n")):
        done = run(text.format(method), tmp_path)

        assert done.stdout == said
        assert done.stderr.count("saved-tensor-modified") == 1
        assert json.loads((tmp_path / "out.json").read_text())["processes"]


@POSIX
def test_terminated_script_leaves_its_report(tmp_path: Path) -> None:
    """SIGTERM, which schedulers send before they kill, ends it as without us, after the report."""
    text = "import inplace, os, signal\ninplace.enable()\n" + STALE.replace("h.sum().backward()", "")

    done = run(text + "os.kill(os.getpid(), signal.SIGTERM)\nwhile True:\n    pass\n", tmp_path)

    assert done.returncode == -signal.SIGTERM
    assert "SIGTERM ended the script before its end" in done.stderr


def test_another_thread_is_refused(tmp_path: Path) -> None:
    """A thread that is not the main one can't enable; the sentence says where to."""
    text = (
        "import inplace, threading\ndef work():\n    try:\n        inplace.enable()\n"
        "    except RuntimeError as error:\n        print(error)\n"
        "one = threading.Thread(target=work)\none.start()\none.join()\n"
    )

    assert "call inplace.enable() there" in run(text, tmp_path).stdout


LEFT_RUNNING = """import torch, torch.multiprocessing as mp
import inplace
inplace.enable(quiet=True)
def forever(ready):
    while True:
        torch.ones(2).add_(1)
        ready.set()
ready = mp.get_context("fork").Event()
mp.get_context("fork").Process(target=forever, args=(ready,), daemon=True).start()
ready.wait()
print("end")
"""


@POSIX
def test_a_child_that_is_left_is_ended_by_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends after our report where torch was there before us, and nothing of ours is left in the temporary folder."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))

    done = run(LEFT_RUNNING, tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
    assert list(temporary.glob("inplace-*")) == []


@pytest.mark.parametrize(("call", "says"), [("inplace.enable(keep=1)", None), ("", "--keep=1"), ("", "--keep --light")])
def test_a_script_that_records_itself_can_let_go(tmp_path: Path, call: str, says: str | None) -> None:
    """By an argument or by the variable: what an early window showed is told in the end."""
    done = run(f"\nimport torch\nimport inplace\n{call}\n{LATE}", tmp_path, says=says)

    assert done.stderr.count("silent-corruption") == 1
    assert ("let go of: " in done.stderr) == ("=1" in call + str(says))


@pytest.mark.parametrize("says", ["--keep=none", "--keep --trace t.json"])
def test_a_variable_that_can_not_be_followed_is_left_out(tmp_path: Path, says: str) -> None:
    """In one sentence; the script runs."""
    done = run(f"\nimport torch\nimport inplace\n\n{LATE}", tmp_path, says=says)

    assert done.returncode == 0
    assert done.stderr.startswith("inplace: INPLACE is understood as options of inplace run, or 1 or 0 (")
    assert done.stderr.count("\n") == 1
