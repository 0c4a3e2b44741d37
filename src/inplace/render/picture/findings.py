"""The findings as the picture tells them, and which tensors, storages and nodes each one is about."""

from __future__ import annotations

from dataclasses import dataclass

from inplace.checks.finding import Finding, Rewrite
from inplace.checks.report import Report
from inplace.facts.model import Call, NodeId, StorageId, TensorId, Trace
from inplace.render.picture.model import Diff, Lesson, Verdict
from inplace.render.picture.source import Texts
from inplace.render.words.changes import changed_lines
from inplace.render.words.cures import how_known
from inplace.render.words.phrase import Runs
from inplace.render.words.telling import bounds_of, example_of, telling, words_of

_FINDINGS = 60  # findings told at most
_NAMES = 8
_TEXT = 2_000
_LINES, _COLUMNS = 24, 400  # of a proposed change


@dataclass(frozen=True, slots=True)
class About:
    """What one finding is about, by id, the most important first."""

    steps: tuple[int, ...]
    tensors: tuple[TensorId, ...]
    storages: tuple[StorageId, ...]
    nodes: tuple[NodeId, ...]


def about(finding: Finding, trace: Trace) -> About:
    """The calls, tensors, storages and nodes of a finding: its own fields, then what its culprits wrote."""
    steps = list(dict.fromkeys(place.step for place in finding.places if place.step is not None))
    tensors = dict.fromkeys(finding.tensors())
    storages = dict.fromkeys(finding.storages())
    for place in finding.culprits:
        if place.step is not None and 0 <= place.step < len(trace.calls):
            _add_written(trace.calls[place.step], trace, tensors, storages)
    broken = finding.broken()
    node = trace.node_by_id.get(broken.node) if broken is not None else None
    for saved in node.saved if node is not None else ():
        if broken is not None and saved.name == broken.saved:
            tensors.update({saved.tensor: None} if saved.tensor is not None else {})
            storages.update({saved.storage: None} if saved.storage is not None else {})
    return About(tuple(steps), tuple(tensors), tuple(storages), () if node is None else (node.id,))


def _add_written(call: Call, trace: Trace, tensors: dict[TensorId, None], storages: dict[StorageId, None]) -> None:
    for argument in trace.writes(call):
        state = trace.states[argument.before]
        tensors[state.tensor] = None
        if state.storage is not None:
            storages[state.storage] = None


def verdicts(report: Report, abouts: list[About], texts: Texts, shown: dict[int, int]) -> tuple[Verdict, ...]:
    """The findings with their sentences, in the report's order."""
    return tuple(
        _verdict(finding, report.trace, facts, texts, shown)
        for finding, facts in list(zip(report.findings, abouts, strict=True))[:_FINDINGS]
    )


def _verdict(finding: Finding, trace: Trace, facts: About, texts: Texts, shown: dict[int, int]) -> Verdict:
    rewrite, told, words = finding.rewrite, telling(finding, trace), words_of(finding)
    bounds = bounds_of(finding)
    return Verdict(
        severity=finding.severity,
        kind=finding.kind,
        role=finding.role,
        headline=_held(told.headline),
        why=_held(told.why),
        fix=_held(told.fix),
        facts=_held(told.facts),
        did=words.did(finding),
        also=tuple(words.kept if place == finding.kept_at() else "" for place in finding.culprits[1:_NAMES]),
        needs="" if finding.victim is None else words.needs(finding),
        diff=None if rewrite is None else _diff(rewrite, finding),
        culprits=tuple(texts.spot(place, shown) for place in finding.culprits[:_NAMES]),
        victim=None if finding.victim is None else texts.spot(finding.victim.place, shown),
        bounds=tuple(texts.spot(place, shown) for place, _ in bounds),
        bounds_are=tuple(said for _, said in bounds),
        names=tuple(name[:80] for name in finding.names[:_NAMES]),
        names_hidden=max(0, len(finding.names) - _NAMES),
        steps=facts.steps,
        tensors=facts.tensors,
        storages=facts.storages,
        memory=finding.storages()[:_NAMES],
        nodes=facts.nodes,
        example=example_of(finding),
    )


def _held(pieces: Runs) -> Runs:
    """A sentence held to what may be sent of it."""
    found: list[str] = []
    left = _TEXT
    for piece in pieces:
        if left <= 0:
            break
        found.append(piece[:left])
        left -= len(piece)
    return tuple(found)


def _diff(rewrite: Rewrite, finding: Finding) -> Diff:
    lines = tuple(line[:_COLUMNS] for line in changed_lines(rewrite)[:_LINES])
    verified = None if finding.proof is None else finding.proof.verified
    return Diff(rewrite.line, lines, verified, how_known(finding)[:_TEXT] or None)


def lessons(told: tuple[Verdict, ...]) -> tuple[Lesson, ...]:
    """The worked examples that the findings told name, each once."""
    from inplace.examples import find

    wanted = dict.fromkeys(verdict.example for verdict in told if verdict.example)
    found = [example for name in wanted for example in find(name)]
    return tuple(Lesson(one.id, one.title, one.claim, one.verdict, one.lesson, one.code) for one in found)
