"""A finding told: which words belong to it, and its sentences with their code marked or plain.

The words of a kind stand in the module here that is called as the kind is, as `WORDS`: `silent-corruption` in
`silent_corruption.py`. Inside, code in a sentence stands in backticks (`phrase.py`), so that a picture can set it in
the code's typeface.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from inplace.checks.finding import Finding
from inplace.facts.model import Trace
from inplace.reading.trace.place import Place
from inplace.render.words.cures import change_summary
from inplace.render.words.evidence import evidence
from inplace.render.words.phrase import Runs, plain, runs


def _nothing(_: Any) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of one kind of finding.

    Attributes:
        sentences: what happened, and why it matters.
        remedy: one or two sentences that say what kind of change helps, for where none is shown.
        did: a few words beside a culprit: that something was overwritten is said only where it was, and was needed.
        kept: a few words beside the line that kept a second reference, where that is not the first culprit.
        example: the worked example that teaches the same thing; empty for none.
        cause: another example that fits the cause of a finding better; empty for none.
        bounds: a few words beside each of the two lines between which it happened, where no more is known.
        needs: a few words beside the victim: a line whose result is needed, or was; empty for none.
    """

    sentences: Callable[[Any, Trace], tuple[str, str]]
    remedy: Callable[[Any, Trace], str]
    did: Callable[[Any], str]
    example: str = ""
    kept: str = ""
    bounds: tuple[str, str] = ("", "")
    needs: Callable[[Any], str] = _nothing
    cause: Callable[[Any], str] = _nothing


@cache
def _words_of(kind: str) -> Words:
    found: Words = import_module(f"inplace.render.words.{kind.replace('-', '_')}").WORDS
    return found


def words_of(finding: Finding) -> Words:
    """The words of a finding's kind."""
    return _words_of(finding.kind)


def bounds_of(finding: Finding) -> list[tuple[Place, str]]:
    """The lines between which it happened, each with what is said beside it; none that is marked already."""
    marked = {(place.label, place.file, place.position.line) for place in finding.places}
    found: dict[object, tuple[Place, str]] = {}
    for place, said in zip(finding.bounds(), words_of(finding).bounds, strict=False):
        line = (place.label, place.file, place.position.line)
        if line not in marked:
            found[line] = place, said
    return list(found.values())


def example_of(finding: Finding) -> str:
    """The worked example that teaches what a finding shows; empty for none."""
    words = words_of(finding)
    return words.cause(finding) or words.example


@dataclass(frozen=True, slots=True)
class Telling:
    """A finding told, each sentence in runs: prose and code by turns, prose first."""

    headline: Runs
    why: Runs
    fix: Runs
    facts: Runs


def telling(finding: Finding, trace: Trace) -> Telling:
    """The sentences of a finding with their code marked, for pictures."""
    words = words_of(finding)
    what, because = words.sentences(finding, trace)
    remedy = change_summary(finding) or words.remedy(finding, trace)
    return Telling(runs(what), runs(because), runs(remedy), runs(evidence(finding, trace)))


def headline(finding: Finding, trace: Trace) -> str:
    """One line: which line did what to what."""
    return plain(words_of(finding).sentences(finding, trace)[0])


def why(finding: Finding, trace: Trace) -> str:
    """What follows from it, as observed."""
    return plain(words_of(finding).sentences(finding, trace)[1])


def fix_summary(finding: Finding, trace: Trace) -> str:
    """What to write instead: what the change that is shown does, else what kind of change helps."""
    return plain(change_summary(finding) or words_of(finding).remedy(finding, trace))


def facts(finding: Finding, trace: Trace) -> str:
    """What was measured, where that says more than the sentences: which bytes. Empty where it does not."""
    return plain(evidence(finding, trace))


def message(finding: Finding, trace: Trace) -> str:
    """What happened, why it matters and what to do, a line each."""
    return "\n".join([headline(finding, trace), why(finding, trace), fix_summary(finding, trace)])
