"""Everything that is found in a trace, and for the worst of it a change that may mend it."""

from __future__ import annotations

from collections.abc import Collection

from inplace.checks.finding import Finding
from inplace.checks.kinds import KINDS
from inplace.checks.report import Report
from inplace.facts.model import Trace
from inplace.facts.pause import no_collection
from inplace.facts.progress import Tell, silent
from inplace.facts.recent import whole_from
from inplace.fixes.candidate import Look
from inplace.fixes.fitting import fitted
from inplace.reading.trace.index import Index

_REWRITTEN = 20  # findings for which a rewrite is looked for
_ORDER = {"error": 0, "warning": 1, "info": 2}


@no_collection()
def analyze(trace: Trace, tell: Tell = silent) -> Report:
    """What the trace shows to be wrong, or safe where it looks wrong; the worst first, else in the order of kinds."""
    index = Index(trace)
    since = whole_from(trace)  # what the window before could not tell, as it was not over, is told now
    found: dict[object, Finding] = {}
    standing: dict[object, Finding] = {}
    before: list[Finding] = []  # what earlier windows of the run have told
    for number, kind in enumerate(KINDS):
        tell(number / len(KINDS))
        for finding in kind.look(index):
            last = max(finding.steps, default=trace.fresh)
            if last >= since:
                found.setdefault((finding.severity, *finding.told_by(trace)), finding)
            elif last >= trace.begin:
                before.append(finding)
            elif finding.stands:  # all else that earlier runs showed was told below them
                standing.setdefault(finding.lines, finding)
    broken = {storage for one in found.values() if one.broken() is not None for storage in one.storages()}
    told_too = [*found.values(), *before]
    kept = [one for one in found.values() if not one.is_told_with(broken) and not _says_less(one, told_too)]
    ordered = sorted(kept, key=lambda finding: _ORDER[finding.severity])
    told = (*fitted(Look(index), ordered[:_REWRITTEN]), *ordered[_REWRITTEN:])
    return Report(index, told, tuple(standing.values()))


def _says_less(finding: Finding, others: Collection[Finding]) -> bool:
    """Whether a finding that yields comes beside an error, or a warning about its own line."""
    spots = {place.spot for place in finding.places}
    return finding.yields and any(
        not one.yields
        and (
            one.severity == "error"
            or (one.severity == "warning" and not spots.isdisjoint(place.spot for place in one.places))
        )
        for one in others
    )


def analyze_run(session: Trace, alone: Trace, tell: Tell = silent) -> Report:
    """What a run of a cell shows behind the runs before it; as the run alone where nothing of it rests on those."""
    report, begin = analyze(session, tell), session.fresh
    if any(step < begin for finding in report.findings for step in finding.steps):
        return report
    own = analyze(alone)
    known = {finding.lines for finding in report.findings}
    findings = tuple(finding for finding in own.findings if finding.lines in known)
    same = known == {finding.lines for finding in findings}
    return Report(own.index, findings, report.standing) if same else report
