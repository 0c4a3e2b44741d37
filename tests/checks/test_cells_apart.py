"""What one cell makes and another goes on with: optimizers, second models, parameters that were put in their place."""

from __future__ import annotations

import pytest

from inplace.checks.graph_detached import Cut
from inplace.checks.rebound_leaf import ReboundLeaf
from inplace.checks.shared_reference import SharedReference
from inplace.fixes.editing import applied
from inplace.render.words.telling import fix_summary, headline
from tests.sessions import Run, Session, play

NET = "import copy\nnet = nn.Linear(2, 1)\nx = torch.ones(3, 2)"
TRAIN = (
    "for _ in range(3):\n    loss = net(x).square().mean()\n    opt.zero_grad()\n    loss.backward()\n    opt.step()\n"
)
SGD = "opt = torch.optim.SGD(net.parameters(), lr=0.1)"
DRIFT = "drift = sum((a - b).abs().sum() for a, b in zip(net.parameters(), old.parameters()))"


def _told(run: Run) -> list[str]:
    return [one.kind for one in run.report.findings if one.severity != "info"]


# ---------------------------------------------------------------- second models


@pytest.mark.parametrize(
    ("second", "fixed"),
    [
        ("old = copy.copy(net)\nold(x)", "old = copy.deepcopy(net)\nold(x)\n"),
        ("old = net\nold(x)", "import copy\nold = copy.deepcopy(net)\nold(x)\n"),
    ],
)
def test_the_cell_that_copied_nothing_is_named_and_mended(second: str, fixed: str) -> None:
    """A loop over both compares each parameter with itself."""
    *_, last = play(NET, second, SGD, TRAIN, DRIFT)

    (finding,) = [one for one in last.report.findings if isinstance(one, SharedReference) and one.severity != "info"]
    assert finding.keep is not None
    assert (finding.keep.label, finding.keep.code) == ("In[2]", second.splitlines()[0])
    assert finding.rewrite is not None
    assert applied(second, finding.rewrite) == fixed
    assert [_told(run) for run in play(NET, fixed, SGD, TRAIN, DRIFT)] == [[]] * 5


def test_where_no_line_is_known_that_kept_it_none_is_named() -> None:
    """A cell that calls nothing leaves no source; the loop itself has kept nothing."""
    *_, last = play(NET, "old = copy.copy(net)", SGD, TRAIN, DRIFT)

    (finding,) = [one for one in last.report.findings if isinstance(one, SharedReference) and one.severity != "info"]
    assert finding.keep is None
    assert headline(finding, last.session).startswith("line 1 takes for two what are the same tensors, which In[4]")


TARGET = "target = net\nr = target(x)"
QLEARNING = """
for _ in range(3):
    with torch.no_grad():
        goal = 0.9 * target(x)
    loss = (net(x) - goal).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
"""


def test_a_second_name_of_a_module_is_followed_into_other_cells() -> None:
    """One cell gives it, another trains one and takes the goal from the other."""
    *_, last = play(NET, SGD, TARGET, QLEARNING)

    (finding,) = [one for one in last.report.findings if isinstance(one, SharedReference) and one.severity != "info"]
    assert finding.keep is not None
    assert (finding.keep.label, finding.keep.code) == ("In[3]", "target = net")


@pytest.mark.parametrize(
    "cells",
    [
        (NET, SGD, "target = copy.deepcopy(net)\nr = target(x)", QLEARNING),
        (NET, SGD, TARGET, "target = copy.deepcopy(net)", QLEARNING),
        (NET, SGD, TARGET, TRAIN),
        (NET, SGD, TARGET, TRAIN.replace("net(x)", "target(x)"), "print(net(x).mean())"),
    ],
)
def test_a_copy_or_a_habit_is_no_matter(cells: tuple[str, ...]) -> None:
    """A copy, in the same cell or in a later one; and two names that are never taken for two."""
    assert [_told(run) for run in play(*cells)] == [[]] * len(cells)


# ---------------------------------------------------------------- numbers

TOTAL = "total = torch.tensor(losses).mean()"


@pytest.mark.parametrize(
    "numbers",
    [
        "losses = [(net(one) - 1).square().item() for one in x]",
        "losses = []\nfor one in x:\n    losses.append(net(one).square().item())",
        "losses = net(x).square().flatten().tolist()",
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_what_a_cell_makes_of_numbers_is_not_to_be_a_leaf(numbers: str, *, apart: bool) -> None:
    """Of numbers that earlier cells took out of a graph nothing is kept; the parameters behind them are what counts."""
    *_, last = play(NET, *([numbers, TOTAL] if apart else [f"{numbers}\n{TOTAL}"]), "total.backward()")

    (cut,) = last.report.of_type(Cut)
    assert cut.rewrite is None


def test_of_numbers_whose_origin_is_not_known_no_leaf_is_made() -> None:
    """They may have come of tensors in a cell that was not recorded."""
    session = Session()
    session.run(NET)
    session.wait("losses = [net(one).item() for one in x]")
    session.run(TOTAL)
    last = session.run("total.backward()")

    (cut,) = last.report.of_type(Cut)
    assert cut.rewrite is None


# ---------------------------------------------------------------- statistics


@pytest.mark.parametrize("forward", ["later = norm(x).square().mean()", "for _ in range(2):\n    norm(x)"])
def test_a_copy_of_the_input_does_not_mend_what_a_module_writes_of_its_own(forward: str) -> None:
    """Batch norm writes its statistics: `x = x.clone()` before it would leave all as it is."""
    begin = "norm = nn.BatchNorm1d(2).eval()\nx = torch.arange(6.0).reshape(3, 2)"
    *_, last = play(begin, "loss = norm(x).square().mean()", f"norm.train()\n{forward}", "loss.backward()")

    (finding,) = [one for one in last.report.findings if one.kind == "silent-corruption"]
    assert finding.rewrite is None or "x.clone()" not in finding.rewrite.new


# ---------------------------------------------------------------- optimizers of earlier cells


@pytest.mark.parametrize(
    "replacing",
    [
        "net.load_state_dict(copy.deepcopy(net.state_dict()), assign=True)",
        "net.weight = nn.Parameter(net.weight.detach().clone())",
    ],
)
def test_what_was_replaced_is_told_once(replacing: str) -> None:
    """The optimizer of an earlier cell has the old parameters: one finding says so, and which cell to run again."""
    *_, last = play(NET, SGD, replacing, TRAIN)

    assert _told(last) == ["rebound-leaf"]
    (finding,) = last.report.of_type(ReboundLeaf)
    assert finding.culprits[0].label == "In[3]"
    assert "In[2]" in fix_summary(finding, last.session)


@pytest.mark.parametrize(
    "order",
    [
        (NET, "net.load_state_dict(copy.deepcopy(net.state_dict()), assign=True)", SGD, TRAIN),
        (NET, SGD, "net.load_state_dict(copy.deepcopy(net.state_dict()))", TRAIN),
        (NET, SGD, "net.load_state_dict(copy.deepcopy(net.state_dict()), assign=True)", SGD, TRAIN),
    ],
)
def test_an_optimizer_that_has_them_is_fine(order: tuple[str, ...]) -> None:
    """It was built after them, or again, or they were written into."""
    assert [_told(run) for run in play(*order)] == [[]] * len(order)
