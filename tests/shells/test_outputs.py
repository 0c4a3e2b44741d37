"""Each output of `inplace run` stands for itself: what can be written is, and what can't is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands import POSIX, python, run_inplace, script

FAULTY = "import torch\nx = torch.ones(3, requires_grad=True)\nh = torch.sigmoid(x)\nh.mul_(2)\n"
BACKWARD = "try:\n    h.sum().backward()\nexcept RuntimeError:\n    print('refused')\n"
OPTIONS = ("--verify", "--json", "out.json", "--html", "out.html", "--trace", "out.trace")
HEADLINE = "h.mul_(2) changed h after line"


def report_of(folder: Path) -> dict[str, Any]:
    """The JSON that a run left."""
    found: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return found


def errors(found: dict[str, Any]) -> list[str]:
    """The kinds of its diagnoses that are errors."""
    return [one["kind"] for one in found["diagnoses"] if one["severity"] == "error"]


# ------------------------------------------------------------ scripts that are no longer what they were


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# -*- coding: latin-1 -*-\nprint(ascii('\xe9'))\n", ""),
        ("", "import os\nos.remove(__file__)\n"),
        ("", "open(__file__, 'w').write('1\\n' * 40)\n"),
        ("", "import os, shutil\nshutil.rmtree(os.getcwd())\n"),
        ("", "import sys\nsys.setrecursionlimit(60)\n"),
        ("", "import warnings\nwarnings.simplefilter('error')\n"),
    ],
)
def test_a_script_that_changes_what_is_around_it(before: str, after: str, tmp_path: Path) -> None:
    """Its report is that of the code which ran, with a proof or why there is none, whatever became of its file."""
    folder = tmp_path / "here"
    folder.mkdir()
    path = folder / "script.py"
    path.write_bytes((before + FAULTY + after + BACKWARD).encode("latin-1"))
    options = [str(tmp_path / one) if one.startswith("out.") else one for one in OPTIONS]

    ours = run_inplace("run", *options, path, folder=folder)

    assert ours.returncode == 0
    assert "refused\n" in ours.stdout
    assert f"{HEADLINE} {3 + before.count(chr(10))} saved it" in ours.stderr
    found = report_of(tmp_path)
    assert errors(found) == ["saved-tensor-modified"]
    assert (found["complete"], found["reason"]) == (True, None)
    assert found["diagnoses"][0]["culprits"][0]["code"] == "h.mul_(2)"
    assert found["diagnoses"][0]["fix"]["verified"] is not None
    assert (tmp_path / "out.html").exists()
    assert (tmp_path / "out.trace").exists()


# ------------------------------------------------------------ faults, interrupts and full disks

INJECTED = {
    "proof": ("inplace.judge.judge", "prove", "The fixes were not proved"),
    "drawing": ("inplace.render.picture.diagram", "diagram", "out.html was not written"),
    "page": ("inplace.render.picture.html", "to_html", "out.html was not written"),
    "trace": ("inplace.facts.codec", "dump", "out.trace was not written"),
    "text": ("inplace.render.words.text", "to_text", "No text"),
}
FAULTS = {
    "fault": ("raise ZeroDivisionError('two\\nlines')", "because of a fault of ours (ZeroDivisionError: two lines)"),
    "interrupt": ("raise KeyboardInterrupt", "the report was interrupted"),
    "signal": ("signal.raise_signal(signal.SIGINT)", "the report was interrupted"),
}


@pytest.mark.one_of(4)
@POSIX
@pytest.mark.parametrize("name", INJECTED)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_one_output(name: str, fault: str, tmp_path: Path) -> None:
    """The others are written, the JSON has the diagnoses and why it is not complete, and the exit status stays."""
    module, function, lost = INJECTED[name]
    raised, why = FAULTS[fault]
    text = (
        f"{FAULTY}{BACKWARD}import signal\nsignal.signal(signal.SIGINT, lambda *_: print('mine'))\n"
        f"import {module} as theirs\ndef broken(*_, **__):\n    {raised}\ntheirs.{function} = broken\n"
        "raise SystemExit(7)\n"
    )
    path = script(tmp_path, text)
    for option in ("out.html", "out.trace"):
        (tmp_path / option).write_text("old")

    options = OPTIONS if name == "proof" else OPTIONS[1:]
    ours = run_inplace("run", *options, path, folder=tmp_path)

    assert (ours.returncode, ours.stdout) == (7, "refused\n")
    assert (HEADLINE in ours.stderr) == (name != "text")
    found = report_of(tmp_path)
    assert errors(found) == ["saved-tensor-modified"]
    assert found["complete"] is False
    assert lost in found["reason"]
    assert why in found["reason"]
    assert lost[1:] in ours.stderr
    is_cut_short = fault != "fault"
    assert ((tmp_path / "out.trace").read_text() == "old") == (name == "trace")
    assert ((tmp_path / "out.html").read_text() == "old") == (name in {"drawing", "page"} or is_cut_short)
    assert {one.name for one in tmp_path.iterdir()} == {"script.py", "out.json", "out.html", "out.trace"}


@POSIX
@pytest.mark.parametrize("name", ["proof", "drawing"])
def test_sigterm_while_the_report_is_made(name: str, tmp_path: Path) -> None:
    """What is there is written, what the script wanted done at its exit is, and the signal ends the process."""
    module, function, lost = INJECTED[name]
    text = (
        f"{FAULTY}{BACKWARD}import atexit, signal\natexit.register(print, 'bye', flush=True)\n"
        f"import {module} as theirs\ndef broken(*_, **__):\n    signal.raise_signal(signal.SIGTERM)\n"
        f"theirs.{function} = broken\n"
    )

    ours = run_inplace("run", *OPTIONS, script(tmp_path, text), folder=tmp_path)

    assert (ours.returncode, ours.stdout) == (-15, "refused\nbye\n")
    assert HEADLINE in ours.stderr
    found = report_of(tmp_path)
    assert errors(found) == ["saved-tensor-modified"]
    assert found["reason"].startswith(f"{lost}: the process was told to end.")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk as Linux has one")
@pytest.mark.parametrize("option", ["--json", "--html", "--trace"])
def test_a_full_disk_costs_one_output(option: str, tmp_path: Path) -> None:
    """It is named with the reason, and the others are written."""
    path = script(tmp_path, FAULTY + BACKWARD)
    files = {"--json": "out.json", "--html": "out.html", "--trace": "out.trace", option: "/dev/full"}

    ours = run_inplace("run", *(word for pair in files.items() for word in pair), path, folder=tmp_path)

    assert ours.returncode == 0
    assert HEADLINE in ours.stderr
    assert ours.stderr.count("inplace: /dev/full can't be written (No space left on device).\n") == 1
    assert {one.name for one in tmp_path.iterdir()} == {"script.py", *files.values()} - {"/dev/full"}
    if option != "--json":
        found = report_of(tmp_path)
        assert errors(found) == ["saved-tensor-modified"]
        assert found["reason"] == "/dev/full can't be written (No space left on device)."


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk as Linux has one")
def test_a_full_disk_costs_the_text(tmp_path: Path) -> None:
    """The JSON has the diagnoses, and says that the text is missing."""
    path = script(tmp_path, FAULTY + BACKWARD)
    command = [sys.executable, "-m", "inplace", "run", "--json", "out.json", str(path)]

    with Path("/dev/full").open("w") as full:
        ours = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, cwd=tmp_path, check=False)

    found = report_of(tmp_path)
    assert ours.returncode == 0
    assert errors(found) == ["saved-tensor-modified"]
    assert found["reason"] == "The text can't be written (No space left on device)."


@POSIX
def test_an_alarm_of_the_script_does_not_end_the_report(tmp_path: Path) -> None:
    """A script that is over feels no alarm it has set, which would end the process while we report."""
    late = "inplace.shells.explanation.analyze"
    text = (
        f"{FAULTY}{BACKWARD}import signal\nimport inplace.shells.explanation as ours\ntheirs = ours.analyze\n"
        "def slow(*given):\n    print(signal.getitimer(signal.ITIMER_REAL)[0])\n    return theirs(*given)\n"
        f"ours.analyze = slow  # {late}\nsignal.alarm(1000)\n"
        "import atexit\natexit.register(lambda: print(signal.getitimer(signal.ITIMER_REAL)[0] > 900))\n"
    )

    ours = run_inplace("run", script(tmp_path, text), folder=tmp_path)

    assert (ours.returncode, ours.stdout) == (0, "refused\n0.0\nTrue\n")


# ------------------------------------------------------------ where outputs go


@POSIX
@pytest.mark.parametrize("option", ["--json", "--trace", "--html"])
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_an_open_file_is_written_where_it_is(option: str, name: str, tmp_path: Path) -> None:
    """`/dev/stdout` that leads to a file has what the script printed, and then the output."""
    path = script(tmp_path, "print('mine')\nimport os\nos.chdir('/')\n")
    with (tmp_path / "all").open("w") as file:
        command = [sys.executable, "-m", "inplace", "run", "--quiet", option, name, str(path)]
        ended = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, check=False)

    assert (ended.returncode, ended.stderr) == (0, b"")
    found = (tmp_path / "all").read_text()
    assert found.startswith(("mine\n{", "mine\n<!doctype html>"))
    assert found.rstrip().endswith(("}", "</html>"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--json", "a", "--html", "a"], ("--json", "--html", "a")),
        (["--html", "a", "--trace", "./b/../a"], ("--html", "--trace", "./b/../a")),
        (["--json", "link", "--trace", "old"], ("--json", "--trace", "old")),
        (["--json", "hard", "--html", "old"], ("--json", "--html", "old")),
        (["--json", "-", "--html", "/dev/stdout"], ("--json", "--html", "/dev/stdout")),
        (["--json", "dangling", "--html", "new"], ("--json", "--html", "new")),
    ],
)
@POSIX
def test_one_file_for_two_outputs_is_refused(arguments: list[str], named: tuple[str, str, str], tmp_path: Path) -> None:
    """In whatever spelling, in one sentence, and before the script runs."""
    path = script(tmp_path, "print('mine')\n")
    (tmp_path / "b").mkdir()
    (tmp_path / "old").write_text("old")
    (tmp_path / "link").symlink_to("old")
    os.link(tmp_path / "old", tmp_path / "hard")
    (tmp_path / "dangling").symlink_to("new")
    before = sorted(tmp_path.iterdir())

    ours = python("-m", "inplace", "run", *arguments, path, folder=tmp_path)

    one, other, name = named
    told = f"inplace: {one} and {other} name the same file ({name}): choose another for one of them.\n"
    assert (ours.returncode, ours.stdout, ours.stderr) == (2, "", told)
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "old").read_text() == "old"


def test_nothing_can_take_two_outputs(tmp_path: Path) -> None:
    """What is written to the null device is nobody's."""
    ours = python("-m", "inplace", "run", "--json", os.devnull, "--html", os.devnull, script(tmp_path, "print(1)\n"))

    assert (ours.returncode, ours.stdout) == (0, "1\n")
