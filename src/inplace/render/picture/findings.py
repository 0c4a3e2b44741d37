"""The findings as the picture tells them, and which tensors, storages and nodes each one is about."""

from __future__ import annotations

from dataclasses import dataclass, fields

from inplace.checks.findings import Finding, Proof, Report, Rewrite, SafeWrite
from inplace.facts.model import Call, NodeId, StorageId, TensorId, Trace
from inplace.render.picture.model import Diff, Lesson, Verdict
from inplace.render.picture.source import Texts
from inplace.render.words.captions import did, needs
from inplace.render.words.changes import changed_lines
from inplace.render.words.phrase import Runs

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
    places = [*finding.culprits, *([finding.victim.place] if finding.victim is not None else [])]
    steps = list(dict.fromkeys(place.step for place in places if place.step is not None))
    tensors: dict[TensorId, None] = {}
    storages: dict[StorageId, None] = {}
    for field in fields(finding):
        value = getattr(finding, field.name)
        if field.name in ("tensor", "base", "leaf", "now") and value is not None:
            tensors[value] = None
        elif field.name == "storage" and value is not None:
            storages[value] = None
    for place in finding.culprits:
        if place.step is not None and 0 <= place.step < len(trace.calls):
            _add_written(trace.calls[place.step], trace, tensors, storages)
    node = getattr(finding, "node", None)
    node = node if node in trace.node_by_id else None  # a finding about a harmless write names its node instead
    if node is not None:
        for saved in trace.node_by_id[node].saved:
            if saved.name == getattr(finding, "saved", None):
                tensors.update({saved.tensor: None} if saved.tensor is not None else {})
                storages.update({saved.storage: None} if saved.storage is not None else {})
    return About(tuple(steps), tuple(tensors), tuple(storages), () if node is None else (node,))


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
    from inplace.render.words import wording  # sentences are needed only where a finding is told

    rewrite, told = finding.rewrite, wording.telling(finding, trace)
    return Verdict(
        severity=finding.severity,
        kind="safe-write" if isinstance(finding, SafeWrite) else finding.kind,
        headline=_held(told.headline),
        why=_held(told.why),
        fix=_held(told.fix),
        facts=_held(told.facts),
        did=did(finding),
        needs=needs(finding),
        diff=None if rewrite is None else _diff(rewrite, finding.proof),
        culprits=tuple(texts.spot(place, shown) for place in finding.culprits[:_NAMES]),
        victim=None if finding.victim is None else texts.spot(finding.victim.place, shown),
        names=tuple(name[:80] for name in finding.names[:_NAMES]),
        names_hidden=max(0, len(finding.names) - _NAMES),
        steps=facts.steps,
        tensors=facts.tensors,
        storages=facts.storages,
        nodes=facts.nodes,
        example=wording.example_of(finding) or "",
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


def _diff(rewrite: Rewrite, proof: Proof | None) -> Diff:
    lines = tuple(line[:_COLUMNS] for line in changed_lines(rewrite)[:_LINES])
    if proof is None:
        return Diff(rewrite.line, lines, None, None)
    return Diff(rewrite.line, lines, proof.verified, proof.text[:_TEXT])


def lessons(told: tuple[Verdict, ...]) -> tuple[Lesson, ...]:
    """The worked examples that the findings told name, each once."""
    from inplace.examples import find

    wanted = dict.fromkeys(verdict.example for verdict in told if verdict.example)
    found = [example for name in wanted for example in find(name)]
    return tuple(Lesson(one.id, one.title, one.claim, one.verdict, one.lesson, one.code) for one in found)
