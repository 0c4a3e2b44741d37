"""A few words beside a marked line: what it does there, and what another line is to that."""

from __future__ import annotations

from inplace.checks.findings import (
    CustomFunction,
    Cut,
    Finding,
    InferenceTensor,
    LeafViewWrite,
    LeafWrite,
    MultiOutputWrite,
    OverlappingWrite,
    ReboundLeaf,
    SafeWrite,
    SharedReference,
    StaleSave,
    UnseenWrite,
)

_OVERLAPS = {"expanded": "writes one byte twice", "indices": "repeats an index", "partial": "reads what it writes"}
_NEEDS: dict[type[Finding], str] = {
    StaleSave: "still needed",
    CustomFunction: "still needed",
    UnseenWrite: "still needed",
    InferenceTensor: "needs autograd",
    Cut: "had a path",
    SafeWrite: "not needed any more",
}


def did(finding: Finding) -> str:
    """What the culprits do: that something was overwritten is said only where it was, and was needed."""
    match finding:
        case StaleSave():
            said = "moves its version" if finding.disjoint else "overwrites it"
        case CustomFunction():
            lent = "edits a lent gradient" if finding.saved == "grad_output" else "not marked dirty"
            said = lent if finding.victim is None else "overwrites it"
        case UnseenWrite():
            said = "changes it unseen"
        case LeafWrite() | LeafViewWrite() | MultiOutputWrite():
            said = "refused"
        case OverlappingWrite():
            said = "refused" if finding.raised else _OVERLAPS.get(finding.how, "overlaps itself")
        case InferenceTensor():
            said = "under inference mode"
        case Cut():
            said = "nothing requires grad" if finding.how == "frozen" else "cuts the path"
        case ReboundLeaf():
            said = "replaces the parameter" if finding.severity == "warning" else "rebinds the name"
        case SharedReference():
            said = "reads what it overwrote" if finding.how == "swap" else "the same bytes"  # of all places; one wrote
        case SafeWrite():
            said = "safe"
        case _:
            said = ""
    return said


def needs(finding: Finding) -> str:
    """What the victim is to that: a line whose result is needed, or was; empty where there is none."""
    if finding.victim is None:
        return ""
    if isinstance(finding, Cut) and finding.how == "frozen":
        return "made the loss"
    return _NEEDS.get(type(finding), "")
