"""Runs that let go of what is over (`inplace run --keep`) tell of the cases what whole recordings do."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from inplace.checks.report import Report
from inplace.shells.explanation import Explanation
from inplace.shells.recorder import nothing_carried, recorder_of, windows_of
from tests.some import WHOLE, some
from tests.test_cases import CASES, LESS_EXACT, LOUD, header, words

WINDOW = 8  # calls: what is found in most cases rests on several windows
WINDOWS = (5, WINDOW, 12, 19, 31)  # calls: so borders come at many places
APART = list(
    some((path for path in CASES if "multiprocessing" not in path.read_text() and path.stem not in LESS_EXACT), 3)
)


def found(path: Path, *, window: int = WINDOW) -> list[tuple[str, set[int], int | None, str]]:
    """Kind, lines of the culprits, line of the victim and severity of what is found in the windows of a case."""
    file = str(path)
    space = {"__name__": "__main__", "__file__": file}
    seen: list[Report] = []
    windows = windows_of(window, lambda session, run: seen.append(Explanation.of_run(session, run)))
    recorder = recorder_of([file], space, title=path.name, earlier=nothing_carried(), windows=windows)
    error: Exception | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases are users' code
        recorder.start()
        try:
            exec(compile(path.read_text(), file, "exec"), space)
        except Exception as raised:
            error = raised
        finally:
            torch.set_grad_enabled(True)  # which some switch off
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
            run = recorder.stop(error)
    seen.append(Explanation.of_run(recorder.session()[0], run))
    return [
        (
            one.kind,
            {place.position.line for place in one.culprits if place.file == file},
            None if one.victim is None else one.victim.place.position.line,
            one.severity,
        )
        for report in seen
        for one in report.findings
    ]


@pytest.mark.parametrize("path", APART, ids=lambda path: path.stem)
def test_a_case_is_told_in_windows_as_it_is_told_whole(path: Path) -> None:
    """Kind, culprit and victim are those of its header; of a harmless one nothing is said aloud.

    What a session may still use is a hint there (`expand` taken for a copy), where it is a warning in a whole run.
    """
    want = header(path)
    culprits, victims = {int(line) for line in words(want["culprit"])}, {int(line) for line in words(want["victim"])}

    told = found(path)

    if want["kind"] == "harmless":
        assert [one for one in told if one[-1] in LOUD] == []
    else:
        assert [
            kind
            for kind, lines, victim, _ in told
            if kind in words(want["kind"]) and (not culprits or lines & culprits) and (not victims or victim in victims)
        ], told


@pytest.mark.parametrize("path", APART, ids=lambda path: path.stem)
def test_what_a_case_is_told_is_the_same_with_and_without_windows(path: Path) -> None:
    """What raises or is silently wrong has the same lines, whether calls are let go of each few or never.

    What a window told while only some of the lines had run is a part of what is told later. Where the border comes does
    not matter: all of the windows are tried where all tests are run, one of them for each case otherwise.
    """
    whole = _loud(found(path, window=1_000_000))

    for window in WINDOWS if WHOLE else [WINDOWS[APART.index(path) % len(WINDOWS)]]:
        in_windows = _loud(found(path, window=window))

        assert whole <= in_windows
        for kind, lines, victim in in_windows - whole:
            assert any(kind == other and lines < more and victim == their for other, more, their in whole)


def _loud(told: list[tuple[str, set[int], int | None, str]]) -> set[tuple[str, frozenset[int], int | None]]:
    return {(kind, frozenset(lines), victim) for kind, lines, victim, severity in told if severity in LOUD}
