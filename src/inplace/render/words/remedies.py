"""What to write instead, in the user's own words where the source allows it."""

from __future__ import annotations

import ast

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
from inplace.facts.model import Trace
from inplace.reading.place import Place
from inplace.render.words.phrase import code

_CUTS = {
    "detach": "Leave the `detach()` out, or detach only what must not be trained.",
    "data": "Leave `.data` out: work on the tensor itself.",
    "item": "Keep it a tensor: combine with `torch.stack(...)` or `torch.cat(...)`, and read numbers for logging only.",
    "numpy": "Stay in PyTorch for what the loss needs, and convert only copies for plotting.",
    "rebuilt": "Combine the tensors with `torch.stack(...)` or `torch.cat(...)`, which keep the path.",
    "no-grad": "Move it out of the `no_grad` block.",
    "dtype": "Use a differentiable form (soft targets, probabilities) where the loss needs it.",
    "frozen": "Call `requires_grad_()` on what is to be trained.",
}
_OVERLAPS = {
    "expanded": "Give every element its own bytes first: `.clone()` (or `repeat` instead of `expand`).",
    "partial": "Clone what is read: `x[1:] += x[:-1].clone()` (for running sums, `torch.cumsum`).",
    "indices": "Use `x.index_put_((i,), values, accumulate=True)`, or `index_add_`.",
}
_NO_TWIN = {"fill_": "torch.full_like", "zero_": "torch.zeros_like"}  # there is no `Tensor.fill` and no `Tensor.zero`
_SHARES = {
    "repeated": "Make each item its own tensor: `[torch.zeros(2) for _ in range(3)]`, or store `t.detach().clone()`.",
    "swap": "Swap with one indexed assignment, `x[[0, 1]] = x[[1, 0]]`, or clone the right side.",
    "snapshot": "If each is to be its own, keep a copy: `.clone()` of a tensor, `copy.deepcopy` of a `state_dict`.",
}
_ESCAPES = {
    "data": "Write to a copy, `.detach().clone()`, or write after `backward()`.",
    "external": "Edit a copy of the array (`.copy()`), or edit it after `backward()`.",
    "buffers": "Run `backward()` before the next training-mode forward, or clone the buffers.",
    "replaced": "Change the values after `backward()`, in place under `torch.no_grad()`.",
}


def remedy(finding: Finding, trace: Trace) -> str:
    """One or two sentences that say what to do."""
    if isinstance(finding, StaleSave | CustomFunction):
        return _saved(finding, trace)
    if isinstance(finding, UnseenWrite):
        return _ESCAPES[finding.how]
    if isinstance(finding, LeafWrite | LeafViewWrite):
        return _leaf(finding)
    if isinstance(finding, MultiOutputWrite):
        return "Index the tensor instead (`img[i]`), or write out of place and `torch.stack(...)` the pieces."
    if isinstance(finding, OverlappingWrite):
        return _OVERLAPS[finding.how]
    if isinstance(finding, InferenceTensor):
        return "Use `torch.no_grad()` instead of `inference_mode`, or clone the tensor outside of it."
    if isinstance(finding, Cut):
        return _CUTS[finding.how]
    if isinstance(finding, ReboundLeaf):
        return _rebound(finding)
    if isinstance(finding, SharedReference):
        return _SHARES[finding.how]
    assert isinstance(finding, SafeWrite)
    return "Nothing to fix."


def _saved(finding: StaleSave | CustomFunction, trace: Trace) -> str:
    if isinstance(finding, CustomFunction) and finding.node is None:
        return "Call `ctx.mark_dirty(...)` on the input, or write to a clone of it."
    if finding.saved == "grad_output":
        return "Work on a copy: `grad.clone()`, or return the result of the out-of-place form."
    place = finding.culprits[0] if finding.culprits else None
    if place is not None and ".step(" in place.code:
        return f"Call {_short(place)} after every `backward()` that needs the old weights, or run the forward again."
    if place is not None and _is_leaf_update(place, trace):
        return f"Move {_short(place)} behind the `backward()` that needs the old values, or run the forward again."
    instead = out_of_place(place) if place is not None else None
    if instead is not None and place is not None and not _is_statement(place, trace):
        instead = f"{code(instead.partition(' = ')[2])} in place of {_short(place)}"
        return f"Write {instead}, or change a copy (`.clone()`)."
    if instead is not None:
        return f"Write {code(instead)} instead, or change a copy (`.clone()`)."
    return "Write out of place, change a clone, or run `backward()` first."


def _is_leaf_update(place: Place, trace: Trace) -> bool:
    """Whether a place wrote to a leaf that requires grad: out of place it would not be that leaf any more."""
    if place.step is None or not 0 <= place.step < len(trace.calls):
        return False
    written = [trace.states[argument.before] for argument in trace.writes(trace.calls[place.step])]
    return any(state.requires_grad and state.is_leaf for state in written)


def _leaf(finding: LeafWrite | LeafViewWrite) -> str:
    example = code(f"new = {finding.names[0]} + ...") if finding.names else "`new = w + ...`"
    return f"Put the update under `torch.no_grad()`, or write out of place under another name: {example}"


def _rebound(finding: ReboundLeaf) -> str:
    name = finding.names[0] if finding.names else "the leaf"
    if finding.severity == "warning":
        return "Build the optimizer after the replacement, or add the parameter with `optimizer.add_param_group(...)`."
    return (
        f"Give the result another name, or update the leaf in place under `torch.no_grad()`; "
        f"for a new start, end the line with `.detach().requires_grad_()` and read {code(name + '.grad')} of that."
    )


def _is_statement(place: Place, trace: Trace) -> bool:
    """Whether the code of a place is the whole of its line, as against a part of an assignment or a chain."""
    source = next((source for source in trace.sources if source.file == place.file), None)
    lines = source.lines() if source is not None else ()
    line = lines[place.position.line - 1] if 0 < place.position.line <= len(lines) else place.code
    return line.strip().rstrip(";") == place.code.strip()


def _short(place: Place) -> str:
    return code(" ".join(place.code.split()))


def out_of_place(place: Place) -> str | None:
    """The out-of-place form of an in-place call, as an assignment; None where the code is none that has a simple one.

    `h.relu_()` becomes `h = h.relu()`, `out += x` becomes `out = out + x`, and `p[m] = 0` `p = p.masked_fill(m, 0)`.
    """
    try:
        body = ast.parse(place.code.strip()).body
    except SyntaxError:
        return None
    if len(body) != 1:
        return None
    statement = body[0]
    if isinstance(statement, ast.AugAssign):
        expression = ast.BinOp(ast.Name(ast.unparse(statement.target)), statement.op, statement.value)
        return f"{ast.unparse(statement.target)} = {ast.unparse(expression)}"
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _call(statement.value)
    return None


def _call(call: ast.Call) -> str | None:
    function = call.func
    if not isinstance(function, ast.Attribute) or not function.attr.endswith("_") or function.attr.startswith("__"):
        return None
    if not isinstance(function.value, ast.Name | ast.Attribute):
        return None
    holder = ast.unparse(function.value)
    if function.attr in _NO_TWIN:
        made = ast.Call(ast.Name(_NO_TWIN[function.attr]), [function.value, *call.args], call.keywords)
        return f"{holder} = {ast.unparse(made)}"
    plain = ast.Call(ast.Attribute(function.value, function.attr.rstrip("_")), call.args, call.keywords)
    return f"{holder} = {ast.unparse(plain)}"
