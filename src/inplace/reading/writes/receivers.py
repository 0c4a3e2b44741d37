"""Chains of in-place calls on one tensor in which a later argument reads what an earlier link has changed already.

NOTE [ Order in a chain ]
In `m.mul_(b).add_((x - m) * a)` Python runs `m.mul_(b)` first, and computes the argument of `add_` then: from the new
values. A statistic of the new values may be meant (`w.clamp_(0).div_(w.sum())`, `x.mul_(2).sub_(x.mean())`), so only
elements that are read one by one, behind a scaling and for a sum, are told.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import TensorState
from inplace.facts.source_code import node_position
from inplace.reading.source.code import Code
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place
from inplace.reading.trace.spelled import is_path

_SCALING = frozenset({"mul_", "multiply_", "div_", "divide_", "true_divide_"})
_ADDING = frozenset({"add_", "sub_", "subtract_", "addcmul_", "addcdiv_", "lerp_"})
_STATISTICS = frozenset(
    ["mean", "sum", "max", "min", "amax", "amin", "norm", "std", "var", "median", "numel", "size", "dim", "item"]
)
_SHAPES = frozenset({"shape", "dtype", "device", "ndim"})


@dataclass(frozen=True, slots=True)
class ChangedReceiver:
    """A chain whose argument read what its receiver had become: the chain, the argument, and the receiver."""

    chain: Place
    argument: Place
    receiver: str
    state: TensorState


def changed_receivers(index: Index) -> Iterator[ChangedReceiver]:
    """Yield the chains that ran, each once."""
    for number, code in enumerate(index.places.codes):
        for chain, reading, receiver in _chains(code):
            ran = _ran(index, number, chain, reading)
            if ran is not None:
                step, state = ran
                at, read = node_position(chain), node_position(reading)
                place, argument = index.places.in_source(number, at, step), index.places.in_source(number, read)
                yield ChangedReceiver(place, argument, receiver, state)


def _chains(code: Code) -> Iterator[tuple[ast.Call, ast.expr, str]]:
    """The chains of two links, with the argument of the second that mentions the receiver of the first."""
    for node in code.source_code.nodes:
        outer = node.func if isinstance(node, ast.Call) else None
        inner = outer.value.func if isinstance(outer, ast.Attribute) and isinstance(outer.value, ast.Call) else None
        if (
            not isinstance(node, ast.Call)
            or not isinstance(outer, ast.Attribute)
            or not isinstance(inner, ast.Attribute)
        ):
            continue
        if outer.attr not in _ADDING or inner.attr not in _SCALING or not is_path(inner.value):
            continue
        receiver = ast.unparse(inner.value)
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            if reads_elements(argument, receiver):
                yield node, argument, receiver


def reads_elements(node: ast.AST, receiver: str) -> bool:
    """Whether an expression reads the elements of a tensor: not its shape, and not a statistic of it."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in _STATISTICS or name.startswith(("zeros_like", "rand", "ones_like", "empty_like")):
            return False
    if isinstance(node, ast.Attribute) and node.attr in _SHAPES:
        return False
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and ast.unparse(node) == receiver:
        return True
    return any(reads_elements(child, receiver) for child in ast.iter_child_nodes(node))


def _ran(index: Index, source: int, chain: ast.Call, argument: ast.expr) -> tuple[int, TensorState] | None:
    """The first call of a chain's second link, and its receiver, where a call of the argument read that before."""
    at, inside = node_position(chain), node_position(argument)
    sites = {number: site.position for number, site in enumerate(index.trace.sites) if site.source == source}
    columns = index.history.columns
    heads = [stack.frames[0].site if stack.frames and stack.frames[0].entry is None else -1 for stack in columns.stacks]
    links = {number for number, head in enumerate(heads) if sites.get(head) == at}
    readers = {number for number, head in enumerate(heads) if head in sites and inside.holds(sites[head])}
    for step, stack in enumerate(columns.stack) if links else ():
        if stack in links:
            call = index.trace.calls[step]
            state = index.trace.states[call.inputs[0].before] if call.inputs and call.raised is None else None
            if state is not None and (not readers or _read_before(index, step, readers, state)):
                return step, state
            return None
    return None


def _read_before(index: Index, step: int, readers: set[int], state: TensorState) -> bool:
    """Whether one of the calls just before a step was given a tensor."""
    columns, tensors = index.history.columns, index.history.tensors_by_state
    while step > 0 and columns.stack[step - 1] in readers:
        step -= 1
        given = columns.before[columns.begins[step] : columns.begins[step + 1]]
        if any(tensors[one] == state.tensor for one in given):
            return True
    return False
