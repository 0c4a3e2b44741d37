"""What must hold between the parts of a trace: each number that finds nothing, or the wrong thing, is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from inplace.facts.consistency import is_consistent
from inplace.facts.model import Stack, StackFrame, Trace
from tests.changed import replace
from tests.recording import record_text

TEXT = """
x = torch.ones(3, requires_grad=True)
optimizer = torch.optim.SGD([x], lr=0.1)
y = x.exp()
shared = y.detach().numpy()
shared[1] = 7
y.sum().backward()
optimizer.step()
raise ValueError("oh")
"""
FAR = 10_000
NOWHERE = Stack((StackFrame(FAR, None),))


def first(field: str, **values: Any) -> Callable[[Trace], Trace]:
    """A trace in which the first item of a field that has some is another one."""

    def changed(trace: Trace) -> Trace:
        items = list(getattr(trace, field))
        items[0] = replace(items[0], **values)
        return replace(trace, **{field: tuple(items)})

    return changed


def first_use(**values: Any) -> Callable[[Trace], Trace]:
    """A trace in which the first save that a backward met is another one."""

    def changed(trace: Trace) -> Trace:
        use = replace(trace.walks[0].uses[0], **values)
        return first("walks", uses=(use,))(trace)

    return changed


def last_call(**values: Any) -> Callable[[Trace], Trace]:
    """A trace in which the last call is another one."""
    return lambda trace: replace(trace, calls=(*trace.calls[:-1], replace(trace.calls[-1], **values)))


@pytest.fixture(scope="module")
def trace() -> Trace:
    """A trace with something of everything."""
    return record_text(TEXT).trace


def test_what_was_recorded_is_consistent(trace: Trace) -> None:
    """So nothing that was recorded is refused, and there is something of everything that is damaged below."""
    assert is_consistent(trace)
    assert trace.changes
    assert trace.names
    assert trace.optimizers
    assert trace.walks[0].uses


@pytest.mark.parametrize(
    "damaged",
    [
        first("sites", source=FAR),
        first("tensors", id=1),
        first("tensors", origin=FAR),
        first("tensors", first_seen=-2),
        first("tensors", died=FAR),
        first("storages", id=1),
        first("storages", bytes=-1),
        first("storages", born=-2),
        first("storages", died=FAR),
        first("states", tensor=FAR),
        first("states", storage=FAR),
        first("states", base=FAR),
        first("states", offset=-1),
        first("nodes", step=FAR),
        first("nodes", leaf=FAR),
        first("walks", step=FAR),
        first("walks", roots=(FAR,)),
        first("walks", reached=(FAR,)),
        first_use(saved=FAR),
        first_use(saved=-1),
        first_use(node=FAR),
        first("changes", storage=FAR),
        first("changes", stack=NOWHERE),
        first("changes", start=8, stop=4),
        first("changes", start=-4),
        first("changes", after=FAR),
        first("changes", after=3, before=2),
        first("names", tensor=FAR),
        first("names", step=FAR),
        first("optimizers", params=(FAR,)),
        last_call(step=0),
        last_call(stack=NOWHERE),
        last_call(module=FAR),
        last_call(within=FAR),
        last_call(outputs=(FAR,)),
        lambda trace: replace(trace, failure=replace(trace.failure, stack=NOWHERE)),
        lambda trace: replace(trace, nodes=(*trace.nodes, trace.nodes[0])),
    ],
)
def test_a_number_that_finds_nothing_is_noticed(damaged: Callable[[Trace], Trace], trace: Trace) -> None:
    """Each alone makes a trace inconsistent."""
    assert not is_consistent(damaged(trace))
