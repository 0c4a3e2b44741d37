"""The change that each finding shows without a replay: one whose rule's preconditions hold on the recording.

NOTE [ One failure, several faults ]
A backward that meets several broken saves is mended only where all of them are. Where each has a change that fits, the
findings show all of these changes as one; where one has none, none is shown: the code would go on to raise, or to be
wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from inplace.checks.finding import Cure, Finding, Rewrite
from inplace.facts.model import NodeId
from inplace.fixes.candidate import Look
from inplace.fixes.editing import joined
from inplace.fixes.proposals import proposals
from inplace.reading.trace.index import Index
from inplace.reading.writes.saves import changes_after, counted_writes, refused_uses, touches, writes_after

_ALONE = frozenset({Cure.FORWARD_AGAIN, Cure.CARRIED_DETACHED})  # they mean another loss, and go with no other change


def fitted(look: Look, findings: Sequence[Finding]) -> list[Finding]:
    """Some findings, each with the change that is known to mend it, if there is one."""
    touched = _touched_unseen(look.index)
    fitting = [
        [one.rewrite for one in proposals(look, finding) if one.fits] if _is_told_whole(finding, touched) else []
        for finding in findings
    ]
    found = [next(iter(ways), None) for ways in fitting]
    together: dict[int, list[int]] = defaultdict(list)
    for number, finding in enumerate(findings):
        if finding.severity != "info" and finding.broken() is not None and finding.at is not None:
            together[finding.at].append(number)
    for numbers in together.values():
        if len(numbers) > 1:
            whole = _whole(look, [fitting[number] for number in numbers])
            for number in numbers:
                found[number] = whole
    for numbers in _alike(findings, found):
        whole = _whole(look, [fitting[number] for number in numbers])
        for number in numbers if whole is not None else ():
            found[number] = whole
    return [_with(finding, rewrite) for finding, rewrite in zip(findings, found, strict=True)]


def _alike(findings: Sequence[Finding], found: Sequence[Rewrite | None]) -> list[list[int]]:
    """The findings of one kind about the same tensors that the same cure mends: two steps that were dropped, say."""
    alike: dict[object, list[int]] = defaultdict(list)
    for number, (finding, rewrite) in enumerate(zip(findings, found, strict=True)):
        if rewrite is not None and finding.broken() is None and finding.tensors():
            alike[finding.kind, finding.tensors(), rewrite.cure].append(number)
    return [numbers for numbers in alike.values() if len(numbers) > 1]


def _whole(look: Look, fitting: Sequence[Sequence[Rewrite]]) -> Rewrite | None:
    """One change that mends several findings, else several of one file as one.

    None where one has none, or two change the same lines.
    """
    if not all(fitting):
        return None
    common = [one for one in fitting[0] if all(one in ways for ways in fitting)]
    distinct = common[:1] or list(dict.fromkeys(ways[0] for ways in fitting))
    if len(distinct) > 1 and any(one.cure in _ALONE for one in distinct):
        return None
    if len(distinct) == 1:
        return distinct[0]
    file = distinct[0].file
    text = next((source.text for source in look.index.trace.sources if source.file == file), None)
    if text is None or any(one.file != file for one in distinct):
        return None
    return joined(text, distinct)


def _touched_unseen(index: Index) -> set[tuple[NodeId, str]]:
    """The saves that a backward refused, and that were written to besides where their counter does not show it.

    What is refused is then only a part of what is wrong with them.
    """
    found = set()
    for one in refused_uses(index):
        counted = {write.call.step for write in counted_writes(index, one)}
        hidden = [write for write in writes_after(index, one) if write.call.step not in counted]
        if changes_after(index, one) or any(touches(index, one.saved, write.after) for write in hidden):
            found.add((one.node.id, one.saved.name))
    return found


def _is_told_whole(finding: Finding, touched: set[tuple[NodeId, str]]) -> bool:
    broken = finding.broken()
    return broken is None or broken.how != "stale" or (broken.node, broken.saved) not in touched


def _with(finding: Finding, rewrite: Rewrite | None) -> Finding:
    return finding if rewrite is None else replace(finding, rewrite=rewrite, basis="recording")
