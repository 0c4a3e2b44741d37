"""Cut paths: told where a parameter misses a gradient, and only of the cut that cost it."""

from __future__ import annotations

import pytest

from inplace.checks.graph_detached import Cut
from tests.recording import record_text

BEGIN = """
w = torch.ones(2, requires_grad=True)
u = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([w, u], lr=0.1)
"""


def cuts(text: str) -> list[tuple[list[int], tuple[str, ...]]]:
    """The lines of each cut, and which leaves it left without a gradient."""
    found = record_text(BEGIN.strip() + "\n" + text).report.of_type(Cut)
    return [([place.position.line for place in one.culprits], one.without_grad) for one in found]


def test_a_cut_of_a_leaf_that_was_reached_is_not_told() -> None:
    """`w` gets its gradient by another way, so that its detached copy was meant, though `u` gets none."""
    assert cuts("scale = (w * 2).detach()\nloss = (w * scale).sum()\nloss.backward()\noptimizer.step()") == []


def test_a_cut_of_a_leaf_that_was_not_reached_is_told() -> None:
    """The same where `w` has no other way."""
    found = cuts("scale = (w * 2).detach()\nloss = (u * scale).sum()\nloss.backward()\noptimizer.step()")

    assert found == [([4], ("w",))]


def test_what_an_update_was_computed_with_is_not_behind_a_leaf() -> None:
    """The path of a leaf begins at the leaf, wherever its values came from."""
    update = "with torch.no_grad():\n    w.add_((u * 2).detach())\n"

    assert cuts(update + "w.sum().backward()\noptimizer.step()") == []


def test_a_cut_is_told_once() -> None:
    """A loop that loses the same gradient each time is one finding."""
    found = cuts("for _ in range(3):\n    scale = (w * 2).detach()\n    (u * scale).sum().backward()\noptimizer.step()")

    assert found == [([5], ("w",))]


def test_a_leaf_is_lost_once() -> None:
    """Where each of two losses loses it on a line of its own, the first says it."""
    text = "a = (w * 2).detach()\n(u * a).sum().backward()\nb = (w * 3).detach()\n(u * b).sum().backward()"

    assert cuts(text) == [([4], ("w",))]


def test_a_cut_that_nobody_misses_is_not_told() -> None:
    """A leaf that is in no optimizer, and whose gradient nobody reads, may be cut off."""
    assert cuts("v = torch.ones(2, requires_grad=True)\n(w * u * (v * 2).detach()).sum().backward()") == []


def test_a_gradient_that_was_read_and_missed_is_wanted() -> None:
    """The same where somebody reads it and finds None."""
    found = cuts("v = torch.ones(2, requires_grad=True)\n(w * u * (v * 2).detach()).sum().backward()\nv.grad")

    assert found == [([5], ("v",))]


def test_a_gradient_that_was_there_is_not_missed() -> None:
    """Who reads what an earlier backward has left there has found one."""
    text = "v = torch.ones(2, requires_grad=True)\nv.grad = torch.ones(2)\n(w * u * (v * 2).detach()).sum().backward()"

    assert cuts(text + "\nv.grad") == []


def test_a_chain_that_is_gone_back_through_in_two_parts_is_not_told() -> None:
    """The first part's leaf hands its gradient to the second, which reaches `w`."""
    first = "h = (w * u).sum()\nd = h.detach().requires_grad_()\nd.backward()\n"

    assert cuts(first + "h.backward(d.grad)\noptimizer.step()") == []


LATER = "parts = {'scale': (w * 2).detach()}\nfor _ in range(3):\n    (u * parts['scale']).sum().backward()\n"


def test_a_cut_that_the_later_turns_have_is_told_with_the_first() -> None:
    """What is cut before a loop and again at its end: the first line is to blame for the first turn only."""
    found = cuts(LATER + "    optimizer.step()\n    parts['scale'] = (w * 3).detach()")

    assert found == [([4, 8], ("w",))]


def test_a_cut_of_all_turns_is_told_alone() -> None:
    """The same where every turn is computed with what the first line has cut."""
    assert cuts(LATER + "    optimizer.step()") == [([4], ("w",))]


def test_a_cut_is_not_left_out_where_another_takes_its_place() -> None:
    """No change is shown for the first of two lines each of which is to blame for some turns."""
    recorded = record_text(BEGIN.strip() + "\n" + LATER + "    optimizer.step()\n    parts['scale'] = (w * 3).detach()")

    (one,) = recorded.report.of_type(Cut)

    assert one.rewrite is None


def test_a_loss_that_is_let_require_grad_misses_none() -> None:
    """The losses of earlier turns are no leaves that wait for a gradient, though their numbers were read."""
    text = "for _ in range(3):\n    loss = (w.detach() * 2).sum()\n    loss.requires_grad_()\n    loss.backward()\n"

    assert cuts(text + "    optimizer.step()\n    print(loss.item())") == [([5], ("w",))]


OWN_STEPS = {
    "one": "v = torch.ones(2, requires_grad=True)\nfor _ in range(2):\n    (v * 2).sum().backward()\n"
    "    with torch.no_grad():\n        v = v - 0.1 * v.grad",
    "two in one line": "v, b = w, u\nfor _ in range(2):\n    (v * b).sum().backward()\n"
    "    with torch.no_grad():\n        v, b = v - 0.1 * v.grad, b - 0.1 * b.grad",
    "a list of them": "params = [w, u]\nfor _ in range(2):\n    sum((p * p).sum() for p in params).backward()\n"
    "    with torch.no_grad():\n        params = [p - 0.1 * p.grad for p in params]",
    "in a function": "@torch.no_grad()\ndef sgd(*ps):\n    return [p.sub(p.grad.sign(), alpha=0.1) for p in ps]\n"
    "v, b = w, u\nfor _ in range(2):\n    (v * b).sum().backward()\n    v, b = sgd(v, b)",
}


@pytest.mark.parametrize("text", OWN_STEPS.values(), ids=OWN_STEPS)
def test_a_step_of_ones_own_is_not_to_be_recorded(text: str) -> None:
    """Out of `no_grad`, the result of an update would have no gradient to read: it is to be written into the leaf."""
    recorded = record_text(BEGIN.strip() + "\n" + text)

    (one,) = recorded.report.of_type(Cut)

    assert one.how == "own step"
    assert one.rewrite is None or "enable_grad" not in one.rewrite.new


def test_a_result_under_no_grad_that_no_gradient_went_into_is_no_step() -> None:
    """What is computed of a leaf alone is to be computed where autograd records."""
    recorded = record_text(BEGIN.strip() + "\nwith torch.no_grad():\n    v = w - 0.1\n(v * 2).sum().backward()")

    assert [one.how for one in recorded.report.of_type(Cut)] == ["no-grad"]


INNER = """loss = (w * 2).sum()
(g,) = torch.autograd.grad(loss, w, create_graph=True)
fast = (w - 0.1 * g){}
(fast.requires_grad_() * u).sum().backward()
optimizer.step()"""


def test_a_gradient_that_was_only_asked_for_is_missed() -> None:
    """What `autograd.grad` gave out is no gradient of the leaf's own, and its step finds none."""
    assert cuts(INNER.format(".detach()")) == [([6], ("w",))]
    assert cuts(INNER.format("")) == []


def test_a_gradient_that_was_asked_for_and_put_there_is_not_missed() -> None:
    """A step finds what somebody has put into `.grad` by hand."""
    assert cuts(INNER.format(".detach()").replace("optimizer.step", "w.grad = g.detach()\noptimizer.step")) == []
