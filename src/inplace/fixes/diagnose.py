"""Everything that is found in a trace, and for the worst of it a change that may mend it."""

from __future__ import annotations

from dataclasses import replace

from inplace.checks.finding import Finding
from inplace.checks.kinds import KINDS
from inplace.checks.report import Report
from inplace.facts.model import Trace
from inplace.facts.pause import no_collection
from inplace.facts.progress import Tell, silent
from inplace.fixes.proposals import rewrites
from inplace.reading.index import Index

_REWRITTEN = 20  # findings for which a rewrite is looked for
_ORDER = {"error": 0, "warning": 1, "info": 2}


@no_collection()
def analyze(trace: Trace, tell: Tell = silent) -> Report:
    """What the trace shows to be wrong, or safe where it looks wrong; the worst first, else in the order of kinds."""
    index = Index(trace)
    found: dict[object, Finding] = {}
    for number, kind in enumerate(KINDS):
        tell(number / len(KINDS))
        for finding in kind.look(index):
            found.setdefault((finding.severity, *finding.lines), finding)
    broken = {storage for one in found.values() if one.broken() is not None for storage in one.storages()}
    kept = [finding for finding in found.values() if not finding.is_told_with(broken)]
    ordered = sorted(kept, key=lambda finding: _ORDER[finding.severity])
    return Report(index, tuple(_with_rewrite(index, one) for one in ordered[:_REWRITTEN]) + tuple(ordered[_REWRITTEN:]))


def _with_rewrite(index: Index, finding: Finding) -> Finding:
    found = rewrites(index, finding)
    return replace(finding, rewrite=found[0]) if found else finding
