"""What is said of `lost-write`: a write that changed nothing which anybody has."""

from __future__ import annotations

from inplace.checks.lost_write import LostWrite
from inplace.facts.model import Trace
from inplace.render.words.parts import culprits, joined
from inplace.render.words.phrase import code
from inplace.render.words.telling import Words

_MADE = {
    "__getitem__": "an index or a mask gives out a copy, not a view",
    "clone": "`clone` gives out a copy",
    "contiguous": "`contiguous` gives out a copy where the tensor is not",
    "reshape": "`reshape` gives out a copy where no view will do",
    "flatten": "`flatten` gives out a copy where no view will do",
    "ravel": "`ravel` gives out a copy where no view will do",
}


def _sentences(finding: LostWrite, trace: Trace) -> tuple[str, str]:
    first = culprits(finding, trace)
    if finding.how == "copy":
        made = _MADE.get(finding.function, f"{code(finding.function)} gave out a copy")
        return f"{first} writes into a copy that is dropped unread: {made}.", "What it was copied from is unchanged."
    if finding.how == "method":
        what = f"{first} sets an attribute called {code(finding.function)}, and does not call that method."
        return what, "No element is written: the attribute belongs to a tensor object, and nobody reads it."
    what = f"{first} sets an attribute of a module, and its parameters know nothing of it."
    return what, f"{joined(finding.kept)} kept the flag: no `nn.Module` reads an attribute {code(finding.function)}."


def _remedy(finding: LostWrite, _: Trace) -> str:
    if finding.how == "copy":
        return (
            "Index once, on the left of an assignment: `x[mask, 0] = value`, `x[i] -= mean`; or assign the result back."
        )
    if finding.how == "method":
        return f"Call it: {code(finding.function + '(...)')}."
    return "Call the method: `module.requires_grad_(False)`."


WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda finding: "writes to a copy" if finding.how == "copy" else "does nothing",
)
