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
    "copy": "`copy` makes an array of its own",
    "astype": "`astype` makes an array of its own",
    "array": "`array` makes an array of its own",
    "tolist": "`tolist` makes a list of its own",
}
_OF_ARRAYS = frozenset({"copy", "astype", "array", "tolist"})


def _sentences(finding: LostWrite, trace: Trace) -> tuple[str, str]:
    first, name = culprits(finding, trace), code(finding.function)
    if finding.how == "copy":
        made = _MADE.get(finding.function, f"{name} gave out a copy")
        return f"{first} writes into a copy that is dropped unread: {made}.", "What it was copied from is unchanged."
    if finding.how in {"dropped", "returned"}:
        what = f"{first} drops its result: {name} gives out another tensor."
        return what, f"{code(finding.names[0])} is as it was before, and is read again as such."
    if finding.how in {"loop", "argument"}:
        owner = "the loop" if finding.how == "loop" else "whoever called the function"
        left = finding.names[1] if len(finding.names) > 1 else finding.names[0]
        what = f"{first} gives the name {code(finding.names[0])} to another tensor, and nobody reads that one."
        return what, f"What {owner} has is as it was: {code(left)} was not written to."
    if finding.how == "method":
        what = f"{first} sets an attribute called {name}, and does not call that method."
        if not finding.function.endswith("_"):
            return what, "The module stays in the mode that it is in."
        return what, "No element is written: the attribute belongs to a tensor object, and nobody reads it."
    if finding.how == "uncalled":
        return f"{first} names {name} and does not call it.", "The line does nothing."
    if finding.how == "spelling":
        what = f"{first} sets an attribute {name}, which PyTorch does not know."
        return what, f"{code('requires_grad')} of {code(finding.names[0])} stays as it was."
    if finding.how == "option":
        what = f"{first} sets an attribute of an optimizer, which does not read it."
        return what, f"An optimizer has {name} in its {code('param_groups')}: each step went on with the value there."
    what = f"{first} sets an attribute of a module, and its parameters know nothing of it."
    return what, f"{joined(finding.kept)} kept the flag: no `nn.Module` reads an attribute {name}."


def _remedy(finding: LostWrite, _: Trace) -> str:
    name = finding.function
    if finding.how == "copy" and name in _OF_ARRAYS:
        return (
            f"Write into the tensor itself, {code(f'{finding.names[0]}[...] = ...')}, or keep what was copied "
            "under a name, and go on with that."
        )
    into, update = (code(f"{finding.names[0]}{what}") for what in (".copy_(...)", " -= ..."))
    return {
        "copy": "Index once, on the left of an assignment: `x[mask, 0] = value`, `x[i] -= mean`; or assign the result "
        "back.",
        "loop": f"Write into the tensor itself, {into} or {update}, under `torch.no_grad()` where it is a parameter; "
        "or put the result where the loop takes it from.",
        "argument": f"Return the result, and assign it where the function is called; or write into the tensor itself, "
        f"{into}.",
        "dropped": _kept(finding),
        "returned": f"Keep the result: {code(f'{finding.names[0]} = {name}(...)')}.",
        "method": f"Call it: {code(f'{name}(...)')}.",
        "uncalled": f"Call it: {code(f'{finding.names[0]}.{name}()')}.",
        "spelling": f"Write {code('requires_grad')}.",
        "option": f"Set it in each group: {code(f'for group in optimizer.param_groups: group[{name!r}] = ...')}.",
        "flag": "Call the method `requires_grad_(...)` with that value, instead of setting an attribute.",
    }[finding.how]


def _kept(finding: LostWrite) -> str:
    """How the line keeps its result, with a word on the method that writes in place where it calls one."""
    receiver, line = finding.names[0], " ".join(finding.culprits[0].code.split())
    kept = f"Keep the result: {code(f'{receiver} = {line}')}"
    if not line.startswith(f"{receiver}."):
        return f"{kept}."
    return f"{kept}, or write in place where a method {code(f'{finding.function}_(...)')} does."


_DID = {
    "copy": "writes to a copy",
    "dropped": "drops its result",
    "returned": "drops its result",
    "loop": "gives its name to another tensor",
    "argument": "gives its name to another tensor",
}

WORDS = Words(
    sentences=_sentences,
    remedy=_remedy,
    did=lambda finding: _DID.get(finding.how, "does nothing"),
    example="E48",
)
