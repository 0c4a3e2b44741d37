"""Changes of assignments that gave a name to another tensor, where the tensor itself was to change."""

from __future__ import annotations

import ast

from inplace.checks.finding import Finding
from inplace.facts.model import GradMode
from inplace.fixes.candidate import Candidate, Candidates, Look
from inplace.fixes.editing import in_place_of
from inplace.fixes.rules import has_twin, operator_of, unrecorded
from inplace.fixes.statement import Statement


def writes_into(look: Look, finding: Finding) -> Candidates:
    """`p = p - lr * p.grad` -> `p -= lr * p.grad`, `w = w.clamp(0, 1)` -> `w.clamp_(0, 1)`, others -> `p.copy_(...)`.

    Under `torch.no_grad()` where the tensor is a leaf that requires grad and gradient mode is on.
    """
    for place, site in look.culprits(finding):
        call, statement = look.call_of(place), site.statement
        state = look.index.history.last_state(finding.tensors()[0])
        text = _written(site)
        if call is None or state is None or text is None or not isinstance(statement, ast.Assign) or not call.outputs:
            return
        made = look.index.trace.states[call.outputs[0]]
        same = made.layout.shape == state.layout.shape and made.layout.dtype == state.layout.dtype
        is_recorded = state.requires_grad and call.grad_mode is GradMode.GRAD
        fits = same and look.may_be_written(state.tensor, place.step, leaf=True)
        if is_recorded and state.is_leaf:
            yield Candidate(site, [unrecorded(site, text)], fits and "torch" in site.source_code.imported)
        else:
            yield Candidate(site, [in_place_of(statement, text)], fits and not is_recorded)


def _written(site: Statement) -> str | None:
    """The update in place that stands for an assignment to a variable; None where the values are not what changes."""
    source, statement = site.source_code, site.statement
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
        return None
    name, value = statement.targets[0].id, statement.value
    if isinstance(value, ast.BinOp) and ast.unparse(value.left) in {name, f"{name}.data"}:
        operator = operator_of(value.op)
        if operator is not None:
            return f"{source.text_of(value.left)} {operator}= {source.text_of(value.right)}"
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        if value.func.attr == "detach":
            return None
        if ast.unparse(value.func.value) in {name, f"{name}.data"} and has_twin(f"{value.func.attr}_"):
            held = source.text_of(value.func)
            return f"{held}_{source.text_of(value).removeprefix(held)}"
    return f"{name}.copy_({source.text_of(value)})"
