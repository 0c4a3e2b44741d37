"""A step of one of PyTorch's optimizers is one call; one that runs the user's code is recorded call by call."""

from __future__ import annotations

import sys
import weakref
from typing import Any

import pytest
import torch

from inplace.capture.code.stacks import Stacks
from inplace.capture.gradients import Gradients
from inplace.capture.patches.mode_stack import height
from inplace.capture.record import Recorder
from inplace.capture.tables.call_log import CallLog
from inplace.capture.tables.tensors_seen import TensorsSeen
from inplace.facts.model import Trace


def recorder() -> Recorder:
    """A recorder for the code of this file."""
    return Recorder(title="test", is_cell=lambda name: name == __file__)


def labels(trace: Trace) -> list[str]:
    """The functions of a trace's calls."""
    return [call.function.label for call in trace.calls]


def trained(steps: int = 1, **options: Any) -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
    """A small module, its optimizer, and gradients to step with."""
    torch.manual_seed(0)
    net = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(net.parameters(), **options)
    net(torch.ones(1, 2)).sum().backward()
    return net, optimizer


def test_a_step_is_one_call_that_wrote_the_parameters() -> None:
    """The call has the parameters as arguments, in their states before and after."""
    net, optimizer = trained()

    with recorder() as recording:
        optimizer.step()

    trace = recording.trace
    assert labels(trace) == ["Adam.step"]
    written = [trace.states[argument.after] for argument in trace.writes(trace.calls[0])]
    assert [state.version for state in written] == [net.weight._version, net.bias._version]
    assert written[0].values == tuple(net.weight.reshape(-1).tolist())


def test_the_mode_is_back_after_a_step() -> None:
    """Calls after a step are recorded, and the stack of modes is what it was."""
    _, optimizer = trained()

    with recorder() as recording:
        before = height()
        optimizer.step()
        assert height() == before
        torch.ones(1).add_(1)

    assert labels(recording.trace) == ["Adam.step", "ones", "add_"]
    assert height() == before - 1


@pytest.mark.parametrize("how", ["closure", "hook", "class", "differentiable"])
def test_a_step_with_code_of_the_users_is_seen_inside(how: str) -> None:
    """A closure, a hook, a class of the user's, or a step that autograd records: its calls are in the trace."""
    net, optimizer = trained(differentiable=how == "differentiable")
    found = []

    class Descent(torch.optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {})

        def step(self, closure: Any = None) -> Any:
            with torch.no_grad():
                return [param.sub_(param.grad) for group in self.param_groups for param in group["params"]]

    if how == "class":
        optimizer = Descent(net.parameters())
    if how == "hook":
        optimizer.register_step_post_hook(lambda *_: found.append(torch.ones(1).add_(1)))
    if how == "differentiable":
        for group in optimizer.param_groups:
            group["params"] = [param.clone() for param in group["params"]]
            for param, source in zip(group["params"], net.parameters(), strict=True):
                param.grad = source.grad

    with recorder() as recording:
        if how == "closure":
            optimizer.step(lambda: net(torch.ones(1, 2)).sum().item())
        else:
            optimizer.step()

    assert len(recording.trace.calls) > 1
    assert "Adam.step" not in labels(recording.trace)


def sparse_step() -> torch.optim.Optimizer:
    """An optimizer whose step raises: Adam takes no sparse gradients."""
    table = torch.nn.Embedding(3, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    return torch.optim.Adam(table.parameters())


def test_a_step_that_raises_is_told() -> None:
    """The exception passes; what was not seen after it is said, and a backward takes the recording up again."""
    optimizer = sparse_step()
    x = torch.ones(2, requires_grad=True)

    with recorder() as recording:
        loss = (x * 2).sum()
        with pytest.raises(RuntimeError, match="sparse"):
            optimizer.step()
        torch.ones(1)
        loss.backward()
        torch.zeros(1)

    trace = recording.trace
    assert labels(trace) == ["mul", "sum", "Adam.step", "zeros"]
    assert trace.calls[2].raised is not None
    assert any("left an optimizer's step" in note.text for note in trace.notes)


def test_nothing_is_lost_where_a_step_ends_the_recording() -> None:
    """No note where the exception of the step is the one that ended the code."""
    optimizer = sparse_step()

    with pytest.raises(RuntimeError, match="sparse"), recorder() as recording:
        optimizer.step()

    assert recording.trace.notes == ()
    assert height() == 0


def test_a_step_keeps_no_parameter_alive() -> None:
    """Not even one that raised."""
    optimizer = sparse_step()

    with recorder():
        with pytest.raises(RuntimeError, match="sparse"):
            optimizer.step()
        ref = weakref.ref(optimizer.param_groups[0]["params"][0])
        del optimizer
        assert ref() is None


def test_an_optimizer_where_another_was_is_another() -> None:
    """One that died hands its address on: modules are looked at for the next one too, and its options."""
    gradients = Gradients(TensorsSeen(), Stacks(lambda name: name == __file__), CallLog(0))
    kind = torch.optim.SGD  # never set up, it is in no cycle, and dies at once

    first = kind.__new__(kind)
    gradients.hidden(list, first, sys._getframe())
    place = id(first)
    assert gradients.knows(first)
    del first
    tried = []
    while not tried or id(tried[-1]) != place:
        tried.append(kind.__new__(kind))
        if len(tried) == 1_000:
            pytest.skip("this Python does not hand the address on")

    assert not gradients.knows(tried[-1])
