"""All checks, and to the worst of what they find a change that may mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from inplace.checks.custom_function import edited_gradients, edited_inputs
from inplace.checks.findings import Finding, Report, SharedReference, StaleSave, UnseenWrite
from inplace.checks.graph_detached import detached_graphs
from inplace.checks.overlapping_write import overlapping_writes
from inplace.checks.rebound_leaf import rebound_leaves
from inplace.checks.refused_writes import inference_tensors, refused_writes
from inplace.checks.safe_in_place import safe_writes
from inplace.checks.saves import stale_saves, unseen_writes
from inplace.checks.shared_reference import shared_references
from inplace.facts.model import Trace
from inplace.facts.pause import no_collection
from inplace.facts.progress import Tell, silent
from inplace.fixes.proposals import rewrites
from inplace.reading.index import Index

__all__ = ["CHECKS", "Report", "analyze"]

Check = Callable[[Index], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    stale_saves,
    refused_writes,
    inference_tensors,
    overlapping_writes,
    unseen_writes,
    edited_inputs,
    edited_gradients,
    rebound_leaves,
    detached_graphs,
    shared_references,
    safe_writes,
)

_REWRITTEN = 20  # findings for which a rewrite is looked for
_ORDER = {"error": 0, "warning": 1, "info": 2}


@no_collection()
def analyze(trace: Trace, tell: Tell = silent) -> Report:
    """What the trace shows to be wrong, or safe where it looks wrong; the worst first, else in order of checks."""
    index = Index(trace)
    found: dict[object, Finding] = {}
    for number, check in enumerate(CHECKS):
        tell(number / len(CHECKS))
        for finding in check(index):
            found.setdefault((type(finding), finding.severity, *finding.lines), finding)
    told = {finding.storage for finding in found.values() if isinstance(finding, StaleSave | UnseenWrite)}
    kept = [
        f for f in found.values() if not (isinstance(f, SharedReference) and f.how == "snapshot" and f.storage in told)
    ]
    ordered = sorted(kept, key=lambda finding: _ORDER[finding.severity])
    return Report(index, tuple(_with_rewrite(index, one) for one in ordered[:_REWRITTEN]) + tuple(ordered[_REWRITTEN:]))


def _with_rewrite(index: Index, finding: Finding) -> Finding:
    found = rewrites(index, finding)
    return replace(finding, rewrite=found[0]) if found else finding
