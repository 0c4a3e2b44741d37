"""The change that each finding shows without a replay: one whose rule's preconditions hold on the recording.

NOTE [ One failure, several faults ]
A backward that refuses several saves is mended only where all of them are. Where each has a change that fits, the
findings show all of these changes as one; where one has none, none is shown: the code would go on to raise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from inplace.checks.finding import Finding, Rewrite
from inplace.fixes.candidate import Look
from inplace.fixes.editing import joined
from inplace.fixes.proposals import proposals


def fitted(look: Look, findings: Sequence[Finding]) -> list[Finding]:
    """Some findings, each with the change that is known to mend it, if there is one."""
    fitting = [[one.rewrite for one in proposals(look, finding) if one.fits] for finding in findings]
    found = [next(iter(ways), None) for ways in fitting]
    together: dict[int, list[int]] = defaultdict(list)
    for number, finding in enumerate(findings):
        if finding.severity == "error" and finding.broken() is not None and finding.at is not None:
            together[finding.at].append(number)
    for numbers in together.values():
        if len(numbers) > 1:
            whole = _whole(look, [fitting[number] for number in numbers])
            for number in numbers:
                found[number] = whole
    return [_with(finding, rewrite) for finding, rewrite in zip(findings, found, strict=True)]


def _whole(look: Look, fitting: Sequence[Sequence[Rewrite]]) -> Rewrite | None:
    """One change that mends several findings, else several of one file as one.

    None where one has none, or two change the same lines.
    """
    if not all(fitting):
        return None
    common = [one for one in fitting[0] if all(one in ways for ways in fitting)]
    distinct = common[:1] or list(dict.fromkeys(ways[0] for ways in fitting))
    if len(distinct) == 1:
        return distinct[0]
    file = distinct[0].file
    text = next((source.text for source in look.index.trace.sources if source.file == file), None)
    if text is None or any(one.file != file for one in distinct):
        return None
    return joined(text, distinct)


def _with(finding: Finding, rewrite: Rewrite | None) -> Finding:
    return finding if rewrite is None else replace(finding, rewrite=rewrite, basis="recording")
