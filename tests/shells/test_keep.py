"""One way to say how much a recording that never ends keeps, wherever a recording begins."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
import torch

import inplace
from inplace.facts.errors import RecordingError
from inplace.shells.keep import calls_of, window_of
from inplace.shells.training.steps import Steps


def wrong(i: int, at: int, w: torch.Tensor) -> None:
    """One iteration, of which one writes where no counter shows it."""
    h = torch.sigmoid(w * 2)
    if i == at:
        h.data.mul_(2)
    h.sum().backward()


@pytest.mark.parametrize(
    ("said", "window"),
    [(None, None), (False, None), (True, 64), (8, 8), (1.5, 1.5), ("on", 64), ("off", None), ("32", 32), ("32 MB", 32)],
)
def test_a_window_is_megabytes_and_64_where_none_are_given(said: Any, window: float | None) -> None:
    """As a switch, a number or text."""
    assert window_of(said) == window
    assert calls_of(64) == 20_000


@pytest.mark.parametrize("said", [0, -1, 0.2, "much", "", float("nan"), float("inf")])
def test_what_is_no_window_is_refused_in_one_sentence(said: Any) -> None:
    """By every face; the text of the command line is tested there."""
    if said == "":
        assert window_of(said) == 64
        return
    told = re.escape(f"takes the megabytes of a window, 1 or more (64 where none are given), not {said!r}")
    for face in (
        lambda: inplace.record(keep=said),
        lambda: inplace.enable(keep=said),
        lambda: Steps(keep=said),
        lambda: inplace.steps(keep=said),
    ):
        with pytest.raises(ValueError, match=told):
            face()


@pytest.mark.parametrize(
    "face",
    [
        lambda: inplace.record(keep=True, thorough=True),
        lambda: inplace.enable(keep=True, advise=True),
        lambda: inplace.enable(keep=2, trace="x"),
    ],
)
def test_what_needs_all_calls_is_refused_beside_it(face: Any) -> None:
    """In one sentence, before anything is recorded."""
    with pytest.raises(ValueError, match=r"keep lets go of calls, and (thorough|advise|trace) needs all of them"):
        face()


def test_a_block_lets_go_and_tells_what_its_windows_showed() -> None:
    """The same finding as of the whole, which calls were let go of, and no trace that would not be whole."""
    w, found = torch.ones(4, requires_grad=True), []
    for keep in (False, 1):
        with inplace.record(keep=keep) as recording:
            for i in range(400):
                wrong(i, 7, w)
        found.append(recording)

    whole, kept = found
    assert [one.kind for one in whole.report.findings] == ["silent-corruption"]
    assert [one["kind"] for one in kept.to_json()["diagnoses"]] == ["silent-corruption"]
    assert [one["culprits"] for one in kept.to_json()["diagnoses"]] == [
        one["culprits"] for one in whole.to_json()["diagnoses"]
    ]
    assert len(kept.trace.calls) < len(whole.trace.calls) / 2
    assert "let go of: " in str(kept)
    with pytest.raises(RecordingError, match="has let go of calls"):
        kept.save("never.json")
    with pytest.raises(RecordingError, match="has let go of calls"):
        kept.advice()


def test_steps_that_are_one_run_are_told_when_the_training_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """The windows of all steps are one recording, of which what was found is printed once."""
    w = torch.ones(4, requires_grad=True)
    steps = Steps(keep=1)

    for i in range(300):
        with steps.step():
            wrong(i, 5, w)
    assert steps.recordings == []
    steps.close()

    (recording,) = steps.recordings
    assert recording.to_json()["windows"]["count"] > 2
    told = capsys.readouterr().err
    assert told.startswith("inplace: steps 1 to 300\n")
    assert told.count("silent-corruption") == 1


def test_a_decorated_step_keeps_as_the_callbacks_do(capsys: pytest.CaptureFixture[str]) -> None:
    """All its calls and what is between them are one recording, told when it is closed; what it returns is its own."""
    w = torch.ones(4, requires_grad=True)

    @inplace.steps(keep=1)
    def step(number: int) -> int:
        wrong(number, 5, w)
        return number

    assert [step(i) for i in range(300)] == [*range(300)]
    steps: Any = step.steps  # type: ignore[attr-defined]
    assert steps.recordings == []
    assert capsys.readouterr().err == ""
    steps.close()

    (recording,) = steps.recordings
    assert recording.to_json()["windows"]["count"] > 2
    assert [one["kind"] for one in recording.to_json()["diagnoses"]] == ["silent-corruption"]
    assert capsys.readouterr().err.startswith("inplace: steps 1 to 300\n")


def test_a_step_that_raises_ends_the_run_and_the_next_begins_another() -> None:
    """What went before is behind it; nothing is left on."""
    w = torch.ones(4, requires_grad=True)
    steps = Steps(keep=1)
    for i in range(200):
        expected = pytest.raises(RuntimeError) if i == 150 else contextlib.nullcontext()
        with expected, steps.step():
            h = torch.sigmoid(w * 2)
            if i == 150:
                h.mul_(2)
            h.sum().backward()
    steps.close()

    first, second = steps.recordings
    assert [one.kind for one in first.report.findings] == ["saved-tensor-modified"]
    assert second.report.findings == ()
    with inplace.record() as recording:  # nothing else goes on
        torch.ones(2).add_(1)
    assert recording.trace.calls
