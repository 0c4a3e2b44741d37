"""What must hold between the parts of a trace, so that nothing that reads one can trip over it.

A trace that was recorded has all of this; one that was read from a file is held to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized

from inplace.facts.model import (
    BEFORE,
    Act,
    Call,
    Failure,
    GradientAct,
    Layout,
    Name,
    Node,
    NotLookedAt,
    SavedTensor,
    Site,
    Stack,
    TensorState,
    Trace,
)


def is_consistent(trace: Trace) -> bool:
    """Whether every number in a trace that stands for something finds it."""
    return all(_tests(trace))


def _tests(trace: Trace) -> Iterator[bool]:
    yield all(_is_site(site, len(trace.sources)) for site in trace.sites)
    yield all(tensor.id == number for number, tensor in enumerate(trace.tensors))
    yield all(_is_step(tensor.origin, trace) for tensor in trace.tensors)
    yield all(_is_moment(tensor.first_seen, trace) and _is_moment(tensor.died, trace) for tensor in trace.tensors)
    yield all(storage.id == number and storage.bytes >= 0 for number, storage in enumerate(trace.storages))
    yield all(_is_moment(storage.born, trace) and _is_moment(storage.died, trace) for storage in trace.storages)
    yield all(_is_state(state, trace) for state in trace.states)
    nodes = trace.node_by_id
    yield len(nodes) == len(trace.nodes)
    yield all(_is_node(node, trace) for node in trace.nodes)
    yield all(_is_call(call, step, trace) for step, call in enumerate(trace.calls))
    for walk in trace.walks:
        yield 0 <= walk.step <= len(trace.calls)
        yield nodes.keys() >= {*walk.roots, *walk.reached, *walk.released, *(use.node for use in walk.uses)}
        yield all(0 <= use.saved < len(nodes[use.node].saved) for use in walk.uses if use.node in nodes)
    for change in trace.changes:
        yield _among(change.storage, trace.storages)
        yield change.stack is None or _is_stack(change.stack, trace)
        yield 0 <= change.start <= change.stop
        yield BEFORE <= change.after <= change.before <= len(trace.calls)
    yield all(_is_name(name, trace) for name in trace.names)
    yield all(_among(param, trace.tensors) for optimizer in trace.optimizers for param in optimizer.params)
    yield all(_is_act(act, trace) for act in trace.acts)
    yield all(_is_left_out(one, trace) for one in trace.not_looked_at)
    yield all(0 <= one.step < len(trace.calls) for one in trace.collectives)
    yield all(_among(one.storage, trace.storages) and one.start >= 0 for one in trace.shared)
    yield trace.failure is None or _is_failure(trace.failure, trace)


def _among(number: int | None, items: Sized) -> bool:
    return number is None or 0 <= number < len(items)


def _is_step(step: int | None, trace: Trace) -> bool:
    return step is None or BEFORE <= step < len(trace.calls)


def _is_moment(step: int | None, trace: Trace) -> bool:
    """Whether something can begin or end there, as it also can after the last call."""
    return step is None or BEFORE <= step <= len(trace.calls)


def _is_name(name: Name, trace: Trace) -> bool:
    return _among(name.tensor, trace.tensors) and BEFORE <= name.step <= len(trace.calls)


def _is_failure(failure: Failure, trace: Trace) -> bool:
    placed = failure.stack is None or _is_stack(failure.stack, trace)
    return placed and all(_is_name(name, trace) for name in failure.there)


def _is_site(site: Site, sources: int) -> bool:
    place = site.position
    return (
        0 <= site.source < sources and 0 <= place.line <= place.end_line and place.column >= 0 and place.end_column >= 0
    )


def _is_stack(stack: Stack, trace: Trace) -> bool:
    return all(_among(frame.site, trace.sites) for frame in stack.frames)


def _is_layout(layout: Layout) -> bool:
    sizes_fit = all(size >= 0 for size in layout.shape) and layout.itemsize >= 0
    return sizes_fit and (layout.strides is None or len(layout.strides) == len(layout.shape))


def _is_state(state: TensorState, trace: Trace) -> bool:
    return (
        _among(state.tensor, trace.tensors)
        and _among(state.storage, trace.storages)
        and _among(state.base, trace.tensors)
        and _is_layout(state.layout)
        and state.offset >= 0
    )


def _is_saved(saved: SavedTensor, trace: Trace) -> bool:
    return (
        _among(saved.tensor, trace.tensors)
        and _among(saved.storage, trace.storages)
        and (saved.layout is None or _is_layout(saved.layout))
    )


def _is_node(node: Node, trace: Trace) -> bool:
    return (
        _is_step(node.step, trace)
        and _among(node.leaf, trace.tensors)
        and all(_is_saved(saved, trace) for saved in node.saved)
    )


def _is_act(act: GradientAct, trace: Trace) -> bool:
    known = act.act is Act.SINGULAR or all(_among(number, trace.tensors) for number in act.numbers)
    fits = not act.found or len(act.found) == len(act.numbers)
    return known and fits and 0 <= act.step <= len(trace.calls) and _is_stack(act.stack, trace)


def _is_left_out(one: NotLookedAt, trace: Trace) -> bool:
    return (
        one.bound >= 0
        and one.count > 0
        and _is_moment(one.first, trace)
        and _among(one.storage, trace.storages)
        and (one.stack is None or _is_stack(one.stack, trace))
    )


def _is_call(call: Call, step: int, trace: Trace) -> bool:
    return (
        call.step == step
        and _is_stack(call.stack, trace)
        and _among(call.module, trace.modules)
        and _is_step(call.within, trace)
        and all(_among(one, trace.states) for one in call.outputs)
        and all(_among(one.before, trace.states) and _among(one.after, trace.states) for one in call.inputs)
    )
