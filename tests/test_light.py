"""Light recordings: versions, saves and writes only, and still every raising kind by its culprit and victim."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import inplace
from inplace.capture.record import Recorder
from inplace.facts.model import Trace
from inplace.fixes.diagnose import analyze
from tests.test_cases import CASES, LESS_EXACT, LOUD, header, words

RAISING = [path for path in CASES if header(path)["raises"] != "none" and path.stem not in LESS_EXACT]
HARMLESS = [path for path in CASES if header(path)["kind"] == "harmless" and "multiprocessing" not in path.read_text()][
    ::2
]
STALE = """
import torch
w = torch.ones(4, requires_grad=True)
h = torch.sigmoid(w)
h.mul_(2)
h.sum().backward()
"""


def recorded(text: str, file: str) -> Trace:
    """The trace of some code under a light recorder."""
    space = {"__name__": "__main__", "__file__": file}
    recorder = Recorder(title="light", is_cell=lambda name: name == file, namespace=space, light=True)
    error: Exception | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases are users' code
        recorder.start()
        try:
            exec(compile(text, file, "exec"), space)
        except Exception as raised:
            error = raised
        finally:
            torch.set_grad_enabled(True)  # which some switch off
            trace = recorder.stop(error)
    return trace


def found(path: Path) -> list[tuple[str, set[int], int | None]]:
    """Kind, lines of the culprits and line of the victim of what is found in a case, loudly."""
    file = str(path)
    return [
        (
            one.kind,
            {place.position.line for place in one.culprits if place.file == file},
            None if one.victim is None else one.victim.place.position.line,
        )
        for one in analyze(recorded(path.read_text(), file)).findings
        if one.severity in LOUD
    ]


@pytest.mark.parametrize("path", RAISING, ids=lambda path: path.stem)
def test_what_raises_is_named_in_a_light_recording(path: Path) -> None:
    """Kind, culprit and victim are those of a case's header, though no value or name was noted."""
    want = header(path)
    culprits, victims = {int(line) for line in words(want["culprit"])}, {int(line) for line in words(want["victim"])}

    told = found(path)

    assert [
        kind
        for kind, lines, victim in told
        if kind in words(want["kind"]) and (not culprits or lines & culprits) and (not victims or victim in victims)
    ], told


@pytest.mark.parametrize("path", HARMLESS, ids=lambda path: path.stem)
def test_nothing_is_said_of_sound_code_in_a_light_recording(path: Path) -> None:
    """To know less gives no alarm."""
    assert found(path) == []


def test_values_and_names_are_not_noted_and_that_is_said() -> None:
    """The trace has none, and a note of it."""
    trace = recorded(STALE, "stale.py")

    assert all(state.values is None for state in trace.states)
    assert not trace.names
    assert [note for note in trace.notes if note.text.startswith("Recorded lightly")]
    assert not trace.changes


def test_every_public_face_takes_it(tmp_path: Path) -> None:
    """`record(light=True)` and `inplace run --light` name the same lines."""
    with contextlib.suppress(RuntimeError), inplace.record(light=True) as recording:
        h = torch.sigmoid(torch.ones(3, requires_grad=True))
        h.mul_(2)
        h.sum().backward()
    script = tmp_path / "stale.py"
    script.write_text(STALE)
    command = [sys.executable, "-m", "inplace", "run", "--light", str(script)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")

    assert [one.kind for one in recording.report.findings] == ["saved-tensor-modified"]
    assert "line 5" in ran.stderr
    assert "saved-tensor-modified" in ran.stderr
