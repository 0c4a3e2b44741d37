"""Names that reach the same bytes: which write is told of, and which are not."""

from __future__ import annotations

import pytest

from inplace.checks.shared_reference import SharedReference
from tests.recording import record_text


def first_lines(text: str) -> list[tuple[str, int]]:
    """How each finding came about, and the line that comes first in it."""
    found = record_text(text).report.of_type(SharedReference)
    return [(one.how, one.culprits[0].position.line) for one in found]


def test_a_write_before_the_second_name_is_not_the_one() -> None:
    """Nobody could have seen it under two names: the first that is told is a write that both names were there for."""
    text = "a = torch.zeros(3)\na.add_(1)\nb = a[:2]\na.mul_(2)"

    assert first_lines(text) == [("snapshot", 4)]


def test_a_module_initialising_its_parameters_is_not_the_one() -> None:
    """Its own first values are written before anybody has them."""
    text = "net = nn.Linear(2, 2)\nweight = net.weight\nwith torch.no_grad():\n    weight.add_(1)"

    assert first_lines(text) == [("snapshot", 4)]


def test_where_there_are_no_others_nothing_is_told() -> None:
    """What was written before the second name came shows under neither as a surprise."""
    assert first_lines("a = torch.zeros(3)\na.add_(1)\nb = a[:2]") == []


@pytest.mark.parametrize(
    "text",
    [
        "net = nn.Linear(2, 2)\nweights = [net.weight]\nfor p in weights:\n    p.data += 1",
        "w = torch.ones(2, requires_grad=True)\ngroups = [{'params': [w]}]\nopt = torch.optim.SGD(groups, 0.1)\n"
        "w.sum().backward()\nopt.step()",
        "x = torch.ones(2)\ny = torch.cat((x, x))",
    ],
    ids=["a list of parameters", "an optimizer's group", "a list that repeats what nobody wrote"],
)
def test_what_is_meant_to_be_the_same_is_not_told(text: str) -> None:
    """A parameter is known to its module, to lists and to groups; a tensor may be joined with itself."""
    assert first_lines(text) == []


def test_bytes_that_nobody_wrote_may_have_two_names() -> None:
    """A view is no finding."""
    assert first_lines("a = torch.zeros(3)\nb = a[:2]\nc = a + 1") == []


def test_what_a_module_counts_is_not_called_by_its_result() -> None:
    """The count of a batch norm is written on the line that gives its output a name: it is not that."""
    text = "net = nn.BatchNorm1d(2)\ncount = net.num_batches_tracked\nout = net(torch.ones(3, 2))"
    (finding,) = record_text(text).report.of_type(SharedReference)

    assert finding.reaching == ("count", "net.num_batches_tracked")


def test_a_swap_of_views_is_told() -> None:
    """The second assignment copies from what the first has overwritten."""
    assert first_lines("x = torch.arange(4.0)\nx[0], x[1] = x[1], x[0]")[0] == ("swap", 2)


def test_an_exchange_with_other_elements_is_none() -> None:
    """Two assignments in one statement, of which the second reads what neither has written."""
    assert [how for how, _ in first_lines("x = torch.arange(4.0)\nx[0], x[1] = x[2], x[3]")] == []


def test_what_a_spoiled_save_tells_is_not_told_again() -> None:
    """That two names reach the bytes is a part of what the other finding says."""
    text = "x = torch.ones(3, requires_grad=True)\ny = torch.exp(x)\nv = y[1:]\nv.add_(1)\n"

    assert first_lines(text) == [("snapshot", 4)]
    assert first_lines(text + "y.sum().backward()") == []
