"""Where a bound of ours was reached, every form says so, and none says that nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from inplace.checks.report import Report
from inplace.facts.model import Look, NotLookedAt, Trace
from inplace.reading.trace.index import Index
from inplace.render.picture.diagram import diagram
from inplace.render.picture.svg import to_svg
from inplace.render.words.contract import diagnoses
from inplace.render.words.text import to_text
from tests.changed import replace
from tests.recording import record_text

SOUND = "h = torch.ones(2)\nh.mul_(2)"
SAID = {
    Look.BACKWARD: "the graph before a backward at line 2 (3 times: after 64 walks of a line only some are made)",
    Look.GRAPH: "what lies behind the first 64 nodes of a graph at line 2 (3 times).",
    Look.CONTENTS: "the contents of a storage that others can write at line 2 (3 times: it has more than 64 bytes).",
    Look.LINES: "which line changed bytes that others can write at line 2 (after 64 lines or compared bytes).",
    Look.NAMES: "names beyond a bound of 64 (3 times), so a tensor may be shown without its name.",
    Look.FRAMES: "frames of yours beyond the innermost 64 at line 2 (3 times).",
}


def with_left_out(trace: Trace, *left: NotLookedAt) -> Report:
    """The report on a trace of which some things were not looked at."""
    return Report(Index(replace(trace, not_looked_at=left)), ())


@pytest.mark.parametrize("what", SAID)
def test_each_bound_is_told(what: Look) -> None:
    """What was left out is said with its line, how often, and the bound."""
    trace = record_text(SOUND).trace
    report = with_left_out(trace, NotLookedAt(what, 64, 3, 1, trace.calls[1].stack, None))

    text = " ".join(to_text(report).split())

    assert f"not looked at: {SAID[what]}" in text


FORMS: dict[str, Callable[[Report], str]] = {
    "text": to_text,
    "still picture": lambda report: to_svg(report, diagram(report)),
    "diagram": lambda report: diagram(report).all_clear,
}


@pytest.mark.parametrize("form", FORMS)
def test_nobody_is_reassured(form: str) -> None:
    """With something left out it is never said that nothing is wrong; without, it is."""
    trace = record_text(SOUND).trace
    left = NotLookedAt(Look.BACKWARD, 64, 1, 1, None, None)

    partly = FORMS[form](with_left_out(trace, left)).lower()
    whole = FORMS[form](with_left_out(trace)).lower()

    assert "in what was looked at" in partly
    assert "in what was looked at" not in whole
    assert "nothing" in whole


def test_json_lists_it() -> None:
    """The contract has what was left out, with the sentence."""
    left = NotLookedAt(Look.NAMES, 6, 1, -1, None, None)

    (told,) = diagnoses(with_left_out(record_text(SOUND).trace, left))["not_looked_at"]

    assert (told["what"], told["bound"], told["count"]) == ("names", 6, 1)
    assert told["message"].startswith("names beyond a bound of 6 (once)")


def test_a_question_of_bytes_that_took_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether two tensors overlap is not answered where the solver gives up: no check says yes or no in its stead."""
    text = "x = torch.arange(24.0)\nx.as_strided((4, 2), (2, 3)).mul_(2)"
    assert record_text(text).report.not_looked_at == ()

    def too_hard(*_: object, **__: object) -> bool:
        raise np.exceptions.TooHardError

    monkeypatch.setattr("inplace.reading.trace.overlaps.np.shares_memory", too_hard)
    report = record_text(text).report

    assert [one.what for one in report.not_looked_at] == [Look.OVERLAP]
    assert "whether tensors overlap" in to_text(report)
