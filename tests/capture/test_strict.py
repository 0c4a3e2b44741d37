"""Strict mode stops a write that would destroy a save, names the save, and lets every other write pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from inplace.capture.record import Recorder
from inplace.facts.errors import OverwriteError


def strict() -> Recorder:
    """A strict recorder for the code of this file."""
    return Recorder(title="test", is_cell=lambda name: name == __file__, strict=True)


def leaf() -> torch.Tensor:
    """A leaf to compute from."""
    return torch.ones(4, requires_grad=True)


def through_a_view() -> torch.Tensor:
    """Write a saved result through a view."""
    h = torch.exp(leaf())
    h[1:].mul_(2)
    return h


def by_index() -> torch.Tensor:
    """Write one element of a saved result."""
    h = torch.exp(leaf())
    h[0] = 1
    return h


def by_out() -> torch.Tensor:
    """Write a saved factor as `out`."""
    h = torch.ones(4)
    y = leaf() * h
    torch.add(torch.ones(4), 1, out=h)
    return y


def by_a_step() -> torch.Tensor:
    """Step between two backwards through the same weights."""
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    first, second = net(torch.ones(1, 4)), net(torch.ones(1, 4))
    first.backward()
    optimizer.step()
    return second


@pytest.mark.parametrize("program", [through_a_view, by_index, by_out, by_a_step])
def test_a_write_that_destroys_a_save_is_stopped(program: Callable[[], torch.Tensor]) -> None:
    """The write does not happen where strict mode is on, and where it is not, backward raises."""
    with pytest.raises(OverwriteError, match=r"would overwrite what .*Backward0 made by line"), strict() as recording:
        program()

    assert recording.trace.calls[-1].raised is not None
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        program().sum().backward()


def after_linear() -> None:
    """A linear layer keeps its input and weight, not its result."""
    torch.nn.Linear(4, 4)(leaf()).relu_().sum().backward()


def after_backward() -> None:
    """A training loop."""
    net = torch.nn.Linear(4, 1)
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.ones(1, 4)).sum().backward()
        optimizer.step()


def running_statistics() -> None:
    """No counter moves where batch norm writes its statistics."""
    norm = torch.nn.BatchNorm1d(4)
    out = norm(torch.ones(2, 4)) + norm(torch.zeros(2, 4))
    out.add_(1).sum().backward()


def without_a_graph() -> None:
    """Nothing is saved under no_grad."""
    with torch.no_grad():
        torch.exp(leaf()).mul_(2)


@pytest.mark.parametrize("program", [after_linear, after_backward, running_statistics, without_a_graph])
def test_safe_writes_pass(program: Callable[[], None]) -> None:
    """A write that destroys nothing is not stopped, and the versions are what they are without us."""
    with strict() as recording:
        program()

    assert all(call.raised is None for call in recording.trace.calls)


def test_the_message_names_line_and_save() -> None:
    """The line that saved, its code, and the name of the save."""
    with pytest.raises(OverwriteError) as caught, strict():
        h = torch.sigmoid(leaf())
        h.mul_(2)

    assert "line " in str(caught.value)
    assert "(h = torch.sigmoid(leaf())) has saved as 'result'" in str(caught.value)
    assert h._version == 0


def test_without_strict_nothing_is_stopped() -> None:
    """The switch is off by default."""
    with Recorder(title="test", is_cell=lambda name: name == __file__):
        through_a_view()
