"""rebound-leaf: a name that stood for a leaf stands for a result now, or an optimizer holds a replaced parameter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from inplace.checks.finding import Cure, Finding, Victim
from inplace.facts.model import Call, Kind, Stack, StackFrame, TensorId, TensorState
from inplace.facts.source_code import node_position
from inplace.reading.gradients.computed_once import computed_once
from inplace.reading.gradients.leaf_behind import LeafBehind, leaf_behind
from inplace.reading.gradients.loaded import is_over, load_of
from inplace.reading.gradients.replaced import Replaced, replaced_leaves
from inplace.reading.gradients.unanswered import unanswered
from inplace.reading.source.code import Code
from inplace.reading.trace.gradient_events import reads_grad
from inplace.reading.trace.index import Index
from inplace.reading.trace.lineage import lineage
from inplace.reading.trace.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ReboundLeaf(Finding):
    """A leaf that is no longer what its name stands for: its gradient is not where it is looked for.

    `how`: the name stood for the leaf and now stands for a result computed from it (`rebound`); it never stood for the
    leaf, as in `w = torch.ones(2, requires_grad=True) * 2` (`unnamed`); a new parameter took the place of one that an
    optimizer holds (`replaced`); or a result was computed from it once (`once`), before the steps that change it, of
    which the victim is the first. `leaf` is what the gradient or the optimizer is with, `now` what has the name.
    `is_put` is whether the culprit is the line that put the new one there, as against the first that computes with it.
    """

    kind = "rebound-leaf"
    keeps_loss = True
    leaf: TensorId
    now: TensorId | None
    how: Literal["rebound", "unnamed", "replaced", "once"]
    is_put: bool = True

    def tensors(self) -> tuple[TensorId, ...]:
        """The leaf, and what has its name now."""
        return (self.leaf, *([self.now] if self.now is not None else []))

    def cures(self) -> tuple[Cure, ...]:
        """The leaf is updated, or the result becomes one; the optimizer is told of a parameter that it lacks."""
        if self.how == "once":
            return ()
        return (Cure.GROUP_ADDED,) if self.how == "replaced" else (Cure.UPDATE_LEAF, Cure.AS_LEAF)


def rebound_leaves(index: Index) -> Iterator[Finding]:
    """Yield leaves that lost their name to a tensor computed from them, where somebody then wanted its gradient."""
    for state, step in _without_gradient(index):
        found = leaf_behind(index, state, step)
        if found is not None:
            yield replace(_rebound(index, state, found), at=step)
    yield from _refused_by_optimizer(index)
    yield from _refused_by_module(index)
    yield from _unknown_to_optimizer(index)
    yield from _computed_once(index)


def _without_gradient(index: Index) -> Iterator[tuple[TensorState, int]]:
    """The tensors that are no leaves with a gradient, where one was read or asked for in vain, and the step of that."""
    for call in index.history.calls_of(reads_grad):
        if call.inputs and not call.outputs:
            state = index.trace.states[call.inputs[0].before]
            if not (state.is_leaf and state.requires_grad):
                yield state, call.step
    refused = unanswered(index)
    if refused is not None and refused.how == "unused":
        for tensor in refused.tensors:
            last = index.history.last_state(tensor)
            if last is not None and not last.is_leaf:
                yield last, len(index.trace.calls)


def _rebound(index: Index, state: TensorState, found: LeafBehind) -> ReboundLeaf:
    """A name of a leaf, or the only one that it might have had, is with what a call made of it."""
    names = index.names.given.get(state.tensor, [])
    return ReboundLeaf(
        severity="error",
        culprits=index.places.chain(found.maker),
        victim=None,
        names=index.names.told(first=[*found.shared, *names, *index.names.of(found.leaf)]),
        leaf=found.leaf,
        now=state.tensor,
        how="rebound" if found.shared else "unnamed",
    )


def _computed_once(index: Index) -> Iterator[Finding]:
    """Parameters that one line took before the steps that change them, which no loss sees."""
    for one in computed_once(index):
        places = index.places.chain(one.use)
        if places:
            yield ReboundLeaf(
                severity="warning",
                culprits=places,
                victim=Victim.at(index.places.of_stack(one.step.stack, None)),
                names=index.names.told(first=[name for leaf in one.leaves for name in index.names.of(leaf)[:1]]),
                leaf=one.leaves[0],
                now=index.history.tensors_by_state[one.use.outputs[0]] if one.use.outputs else None,
                how="once",
            )


def _refused_by_module(index: Index) -> Iterator[Finding]:
    """A module refused a computed tensor under the name of one of its parameters."""
    failure = index.trace.failure
    if failure is None or failure.type != "TypeError" or failure.stack is None or not failure.stack.frames:
        return
    frame = failure.stack.frames[0]
    if frame.entry != "Module.__setattr__":
        return
    place, end = index.places.at(frame, None), len(index.trace.calls)
    statement = index.places.code(place).statement(place.position)
    whole = index.places.beside(place, node_position(statement)) if statement is not None else place
    made = [call for call in index.history.calls_of(lambda one: one.kind is Kind.OP) if _lies_in(index, call, whole)]
    given = [output for call in made for output in call.outputs]
    tensor = index.history.tensors_by_state[given[-1]] if given else None
    leaves = [*lineage(index, tensor, end).leaves] if tensor is not None else []
    if tensor is not None:
        yield ReboundLeaf(
            severity="error",
            culprits=(place,),
            victim=None,
            names=index.names.told(first=index.places.code(place).targets(place.position), tensors=leaves[:1]),
            leaf=leaves[0] if leaves else tensor,
            now=tensor,
            how="rebound",
            at=end,
        )


def _lies_in(index: Index, call: Call, whole: Place) -> bool:
    place = index.places.of(call)
    return place is not None and place.file == whole.file and whole.position.holds(place.position)


def _refused_by_optimizer(index: Index) -> Iterator[Finding]:
    """An optimizer's constructor refused a tensor that is no leaf."""
    failure = index.trace.failure
    if failure is None or failure.type != "ValueError" or failure.stack is None or not failure.stack.frames:
        return
    frame = failure.stack.frames[0]
    if not frame.builds:
        return
    place = index.places.at(frame, None)
    mentioned = index.names.roots(index.names.at(place))
    for state in index.history.last_states():
        names = index.names.of(state.tensor)
        if state.is_leaf or not state.requires_grad or mentioned.isdisjoint(index.names.roots(names)):
            continue
        maker = index.history.maker(state.tensor, len(index.trace.calls))
        leaves = lineage(index, state.tensor, len(index.trace.calls)).leaves
        if maker is not None and leaves:
            yield ReboundLeaf(
                severity="error",
                culprits=index.places.chain(maker),
                victim=None,
                names=tuple(names),
                leaf=next(iter(leaves)),
                now=state.tensor,
                how="rebound",
                at=len(index.trace.calls),
            )
            return


def _unknown_to_optimizer(index: Index) -> Iterator[Finding]:
    """A parameter took the place of one that an optimizer was built over: it gets gradients that nobody applies."""
    for one in replaced_leaves(index):
        place = index.places.of(one.first_use)
        if place is None:
            continue
        put = (
            load_of(index, one)
            or _made_by_cell(index, one)
            or _computed(index, one.now)
            or _since(index, one, _put_in_place(index, place, one))
            or _since(index, one, _replacement(index, place, one.now))
        )
        places = (put,) if put is not None else _filled(index, one) or (place,)
        if one.late and places == (place,) and put is None:
            continue
        orphan_names = [name for param in one.orphans for name in index.names.of(param)]
        yield ReboundLeaf(
            severity="warning",
            culprits=places,
            victim=None,
            names=index.names.told(first=[*index.names.of(one.now), *orphan_names], places=places),
            leaf=one.orphans[0],
            now=one.now,
            how="replaced",
            is_put=places != (place,) or put is not None,
            at=max((walk.step for walk in index.trace.walks if walk.is_backward), default=None),
        )


def _since(index: Index, one: Replaced, place: Place | None) -> Place | None:
    """A place, unless what ran there ran before the optimizer was built only: it put the old parameter there."""
    return None if place is None or is_over(index, place, one.since) else place


def _made_by_cell(index: Index, one: Replaced) -> Place | None:
    """The line of an earlier cell that was running when the new parameter was filled, before its first use."""
    trace, sightings = index.trace, index.history.sightings.get(one.now, [])
    step = sightings[0][0] if sightings else one.first_use.step
    frames = trace.calls[step].stack.frames
    if trace.run_of(step) == trace.run_of(one.first_use.step) or not frames:
        return None
    return index.places.at(frames[-1], step)


def _computed(index: Index, leaf: TensorId) -> Place | None:
    """The statement that computed a leaf which is no parameter: what it is put into stands there."""
    steps = index.history.givers.get(leaf, ()) if index.trace.tensors[leaf].type != "Parameter" else ()
    frames = index.trace.calls[steps[0]].stack.frames if steps else ()
    return _statement_at(index, frames[0]) if frames else None


def _put_in_place(index: Index, place: Place, one: Replaced) -> Place | None:
    """The assignment of the module whose call is at a place, but for the one that made the old parameter."""
    code = index.places.code(place)
    item = _put_as_item(index, code, one.now)
    if item is not None:
        return index.places.beside(place, node_position(item))
    called = code.called(place.position)
    old = {made.position.line for param in one.orphans for made in _made_at(index, param) if made.file == place.file}
    found = [at for at in code.assignments(called) if at.line not in old] if called is not None else []
    return index.places.beside(place, found[-1]) if found else None


def _put_as_item(index: Index, code: Code, leaf: TensorId) -> ast.stmt | None:
    """The last statement of a source that puts the module of a leaf in place as an item: `self.net[1] = head`."""
    modules = [name.rpartition(".")[0] for name in index.names.of(leaf)]
    ends = {module.rpartition(".")[2] for module in modules if module.endswith("]")}
    found = [
        one
        for one in code.source_code.simple_statements
        if isinstance(one, ast.Assign)
        and isinstance(one.targets[0], ast.Subscript)
        and ast.unparse(one.targets[0]).rpartition(".")[2] in ends
    ]
    return found[-1] if found else None


def _made_at(index: Index, tensor: TensorId) -> list[Place]:
    """The lines that were running when a parameter was met first."""
    steps = index.history.sightings.get(tensor, [])
    call = index.trace.calls[steps[0][0]] if steps else None
    return [index.places.at(frame, None) for frame in call.stack.frames] if call is not None else []


def _replacement(index: Index, place: Place, leaf: TensorId) -> Place | None:
    """The assignment that put a parameter in place; `nn.Parameter(...)` itself is no recorded call."""
    code = index.places.code(place)
    if any(not target.isidentifier() for target in code.targets(place.position)):
        return place  # of an object: what a variable is given is the result that the new one was used for
    for name in index.names.of(leaf):
        above = code.assignment_above(place.position, name)
        if above is not None:
            return index.places.beside(place, above)
    return None


def _filled(index: Index, one: Replaced) -> tuple[Place, ...]:
    """The last assignment to such an attribute that was seen to compute the values of a new parameter.

    It came between the making of an optimizer and the first use of the new one. Where it was run elsewhere too, the
    line that called for it comes with it.
    """
    columns, parts = index.history.columns, {part for name in index.names.of(one.now) for part in name.split(".")}
    node = index.places.node_of(one.first_use)
    parts |= {part for one in ast.walk(node) if (part := _part(one))} if node is not None else set()
    makes: dict[int, bool] = {}
    for step in range(one.first_use.step - 1, one.since - 1, -1):
        number = columns.stack[step]
        if number not in makes:
            is_set = _assigns_attribute(index, columns.stacks[number], parts)
            makes[number] = is_set and not _fills_another(index, number, one)
        if makes[number]:
            break
    else:
        return ()
    frames = columns.stacks[number].frames
    first = _statement_at(index, frames[0])
    others = (stack.frames for stack in columns.stacks if stack.frames and stack.frames[1:] != frames[1:])
    again = any(_statement_at(index, other[0]).spot == first.spot for other in others)
    return (first, _statement_at(index, frames[1])) if again and len(frames) > 1 else (first,)


def _fills_another(index: Index, number: int, one: Replaced) -> bool:
    """Whether the calls of a stack initialise parameters, and not this one: another object has such an attribute."""
    columns, trace = index.history.columns, index.trace
    calls = [trace.calls[step] for step, own in enumerate(columns.stack) if own == number and step >= one.since]
    own = [call for call in calls if call.function.name.startswith("torch.nn.init.")]
    filled = {trace.states[given.before].tensor for call in own for given in call.inputs}
    return bool(filled) and one.now not in filled


def _assigns_attribute(index: Index, stack: Stack, parts: set[str]) -> bool:
    """Whether the innermost statement of a stack sets an attribute of one of some names."""
    if not stack.frames:
        return False
    site = index.places.site(stack.frames[0])
    statement = index.places.codes[site.source].statement(site.position)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return any(_part(target) in parts for target in targets)


def _part(node: ast.AST) -> str | None:
    """The last part of the path to a parameter: the attribute of `self.w`, the key of `params["w"]`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    key = node.slice if isinstance(node, ast.Subscript) else None
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None


def _statement_at(index: Index, frame: StackFrame) -> Place:
    place = index.places.at(frame, None)
    statement = index.places.code(place).statement(place.position)
    return place if statement is None else index.places.beside(place, node_position(statement))
