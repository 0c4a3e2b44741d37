"""A cell that is run again is one line of code, as the body of a loop is: graphs and gradients go from run to run."""

from __future__ import annotations

import pytest

from inplace.checks.freed_graph import FreedGraph
from inplace.checks.gradients_never_cleared import UnclearedGradients
from inplace.fixes.editing import applied
from tests.sessions import Run, Session, play

BEGIN = "torch.manual_seed(0)\nw = torch.ones(2, requires_grad=True)\nx = torch.ones(2)"
NET = (
    "torch.manual_seed(0)\nnet = nn.Linear(2, 1)\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\nx = torch.ones(4, 2)"
)

# A cell that takes what its run before has left, and the line of it that is to be detached, if a change is known to do.
CARRIED = {
    "a state": ("h = torch.zeros(2)", "h = torch.tanh(h * w)\nh.sum().backward()", None),
    "a state beside the leaf": (
        "h = torch.zeros(2)",
        "h = torch.tanh(h + w)\nh.sum().backward()",
        "h = torch.tanh(h.detach() + w)",
    ),
    "a cell of a network": (
        "cell = nn.GRUCell(2, 2)\nh = torch.zeros(1, 2)",
        "h = cell(x[None], h)\nloss = h.square().mean()\nloss.backward()\ncell.zero_grad()",
        "h = cell(x[None], h.detach())",
    ),
    "a function": (
        "def step(state):\n    return torch.sin(state + w)\nh = torch.zeros(2)",
        "h = step(h)\nh.sum().backward()",
        None,
    ),
    "a sum that began as a number": ("total = 0", "total = total + (x * w).exp().sum()\ntotal.backward()", None),
    "a sum in place": ("total = 0", "loss = (x * w).exp().sum()\ntotal += loss\ntotal.backward()", None),
}
# A graph of another cell, which a cell goes backward through again.
OF_ANOTHER = {
    "the loss": ("loss = (x * w).exp().sum()", "loss.backward()"),
    "features": ("features = (x * w).exp()", "loss = features.square().sum()\nloss.backward()"),
    "in a function": ("def finish():\n    loss.backward()\nloss = w.exp().sum()", "finish()"),
}


@pytest.mark.parametrize(("begin", "cell", "fixed"), CARRIED.values(), ids=list(CARRIED))
def test_what_a_cell_takes_from_its_run_before_is_to_be_detached(begin: str, cell: str, fixed: str | None) -> None:
    """No `retain_graph=True`: each run would go through the graphs of all before it."""
    *_, last = runs = play(BEGIN, begin, cell, cell)

    (finding,) = _freed(last)
    assert runs[2].error is None
    assert finding.again == "carried" or fixed is None
    assert "retain_graph" not in (finding.rewrite.new if finding.rewrite else "")
    if fixed is not None:
        assert finding.rewrite is not None
        changed = applied(cell, finding.rewrite)
        assert fixed in changed.splitlines()
        assert [run.error for run in play(BEGIN, begin, changed, changed, changed)[2:]] == [None] * 3


@pytest.mark.parametrize(("forward", "cell"), OF_ANOTHER.values(), ids=list(OF_ANOTHER))
def test_a_backward_cell_run_again_asks_for_its_forward(forward: str, cell: str) -> None:
    """Whoever runs the cell again wants the gradient again, not twice of it: no change of the cell is shown."""
    *_, last = play(BEGIN, forward, cell, cell)

    (finding,) = _freed(last)
    assert finding.again == "other"
    assert finding.rewrite is None


def test_two_losses_of_two_cells_may_keep_the_graph() -> None:
    """Cells of other text are other lines."""
    *_, last = play(BEGIN, "h = (x * w).exp()\na, b = h.sum(), h.square().sum()", "a.backward()", "b.backward()")

    (finding,) = _freed(last)
    assert finding.again is None
    assert finding.rewrite is not None
    assert "retain_graph=True" in finding.rewrite.new


def _freed(run: Run) -> list[FreedGraph]:
    assert isinstance(run.error, RuntimeError)
    return [one for one in run.report.findings if isinstance(one, FreedGraph)]


# ---------------------------------------------------------------- gradients

# Cells that are run in this order, each of which leaves its gradients to the next.
NEVER = {
    "one cell": [NET, *["net(x).square().mean().backward()\nopt.step()"] * 3],
    "two cells": [NET, *["loss = net(x).square().mean()\nloss.backward()", "opt.step()"] * 3],
    "three cells": [NET, *["loss = net(x).square().mean()", "loss.backward()", "opt.step()"] * 3],
    "a function": [NET + "\ndef train():\n    net(x).square().mean().backward()\n    opt.step()", *["train()"] * 3],
    "steps of Adam": [NET.replace("SGD", "Adam"), *["net(x).square().mean().backward()\nopt.step()"] * 4],
    "an evaluation between": [
        NET,
        *["net(x).square().mean().backward()\nopt.step()", "with torch.no_grad():\n    print(net(x).mean())"] * 3,
    ],
    "by hand": [BEGIN, *["loss = (x * w).square().sum()\nloss.backward()\nw.data -= 0.1 * w.grad"] * 4],
    "by hand in another cell": [
        BEGIN,
        *["loss = (x * w).square().sum()\nloss.backward()", "with torch.no_grad():\n    w -= 0.1 * w.grad"] * 4,
    ],
}
CLEARED = {
    "in the cell": [NET, *["opt.zero_grad()\nnet(x).square().mean().backward()\nopt.step()"] * 4],
    "in a cell of its own": [NET, *["net(x).square().mean().backward()\nopt.step()", "opt.zero_grad()"] * 4],
    "to zeros": [
        NET,
        *["net(x).square().mean().backward()\nopt.step()", "opt.zero_grad(set_to_none=False)"] * 4,
    ],
    "collected for one step": [NET, *["net(x).square().mean().backward()"] * 4, "opt.step()\nopt.zero_grad()"],
    "two steps only": [NET, *["net(x).square().mean().backward()\nopt.step()"] * 2],
    "by the model": [NET, *["net.zero_grad()", "net(x).square().mean().backward()", "opt.step()"] * 4],
    "leaf by leaf": [
        NET,
        *["for p in net.parameters():\n    p.grad = None", "net(x).square().mean().backward()\nopt.step()"] * 4,
    ],
    "a new model each time": [*[NET, "net(x).square().mean().backward()\nopt.step()"] * 4],
    "by hand": [
        BEGIN,
        *["(x * w).square().sum().backward()", "w.data -= 0.1 * w.grad\nw.grad.zero_()"] * 4,
    ],
    "by hand, to None": [
        BEGIN,
        *["(x * w).square().sum().backward()", "w.data -= 0.1 * w.grad\nw.grad = None"] * 4,
    ],
}


@pytest.mark.parametrize("cells", NEVER.values(), ids=list(NEVER))
def test_gradients_that_no_cell_clears_are_told(cells: list[str]) -> None:
    """The third step tells: each used the gradients of the one before, to which a backward had added."""
    *_, before, last = play(*cells)
    told = [one for run in (before, last) for one in run.report.findings if isinstance(one, UnclearedGradients)]

    assert told
    assert all(place.label.startswith("In[") for one in told for place in one.culprits)
    assert any("backward()" in place.code or place.code == "train()" for place in told[-1].culprits)


@pytest.mark.parametrize("cells", CLEARED.values(), ids=list(CLEARED))
def test_gradients_that_some_cell_clears_are_not(cells: list[str]) -> None:
    """Whichever cell clears them."""
    assert [run.told() for run in play(*cells)] == [[]] * len(cells)


def test_a_cell_that_is_not_recorded_may_have_cleared_them() -> None:
    """Where it has, the counters of the gradients begin anew, whatever is added to them then."""
    for clear in ("opt.zero_grad()", "opt.zero_grad(set_to_none=False)"):
        session = Session()
        session.run(NET)
        for _ in range(5):
            run = session.run("net(x).square().mean().backward()\nopt.step()")
            session.wait(clear)
            assert run.told() == []


def test_the_clear_is_shown_in_the_cell_that_is_run_again() -> None:
    """A cell that goes backward and makes the step is mended as the body of a loop is."""
    cell = "loss = net(x).square().mean()\nloss.backward()\nopt.step()"
    *_, last = play(NET, *[cell] * 3)

    (finding,) = [one for one in last.report.findings if isinstance(one, UnclearedGradients)]
    assert finding.rewrite is not None
    assert applied(cell, finding.rewrite) == cell.replace("loss.", "opt.zero_grad()\nloss.") + "\n"


def test_many_runs_of_a_cell_are_told_as_few_are() -> None:
    """Of a cell that was run often the first run and the last three are kept, and tell it still."""
    for cells in (NEVER["one cell"][1:2] * 12, NEVER["two cells"][1:3] * 12):
        *_, before, last = play(NET, *cells)
        assert any(isinstance(one, UnclearedGradients) for run in (before, last) for one in run.report.findings)
