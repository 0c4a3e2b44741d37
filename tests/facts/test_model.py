"""What a call wrote: told by its schema and by what moved, and never twice."""

from __future__ import annotations

from inplace.facts.model import StateId
from tests.changed import replace
from tests.recording import record_text


def written(text: str) -> list[str]:
    """The arguments that the last call of a piece of source wrote."""
    trace = record_text(text).trace
    return [argument.path for argument in trace.writes(trace.calls[-1])]


def test_a_sibling_of_what_is_written_is_not_written() -> None:
    """Its version moves too, as it counts with its base, though it was only read."""
    trace = record_text("a = torch.zeros(4)\nv, w = a[:2], a[2:]\nv.add_(w)").trace
    written, read = trace.calls[-1].inputs

    assert trace.states[read.before].version != trace.states[read.after].version
    assert list(trace.writes(trace.calls[-1])) == [written]


def test_what_raised_would_have_been_written() -> None:
    """A refused call has the writes that its schema declares, though nothing moved."""
    text = "w = torch.ones(2, requires_grad=True)\ntry:\n    w.add_(1)\nexcept RuntimeError:\n    pass"

    assert written(text) == ["0"]


def test_a_call_that_gives_a_tensor_other_memory_has_written_it() -> None:
    """Even where no schema says so, and no version has moved."""
    trace = record_text("t = torch.ones(3)\nu = torch.ones(3)\ntorch.dot(t, u)").trace
    call = trace.calls[-1]
    first, second = call.inputs
    moved = replace(trace.states[first.before], storage=trace.states[second.before].storage)
    given = replace(first, after=StateId(len(trace.states)))

    other = replace(trace, states=[*trace.states, moved])

    assert list(other.writes(call)) == []
    assert list(other.writes(replace(call, inputs=(given, second)))) == [given]
