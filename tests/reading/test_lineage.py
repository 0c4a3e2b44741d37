"""Where a tensor's values came from: the last call that gave it out, or that wrote its bytes."""

from __future__ import annotations

from inplace.checks.graph_detached import Cut
from tests.recording import record_text

LEAF = "w = torch.ones(2, requires_grad=True)\n"


def cut_lines(text: str) -> list[list[int]]:
    """The lines of the cuts behind a loss that has no path."""
    return [[place.position.line for place in cut.culprits] for cut in record_text(LEAF + text).report.of_type(Cut)]


def test_values_may_come_through_a_view() -> None:
    """What was copied into a part of a buffer is behind the buffer, though no call was given the buffer itself."""
    text = "out = torch.zeros(2)\npart = out[:1]\npart.copy_((w * 2)[:1].detach())\n(out * 1).sum().backward()"

    assert cut_lines(text) == [[4]]


def test_a_view_made_after_a_write_comes_from_its_own_call() -> None:
    """The write is behind the tensor that the view was made from; what made the view has cut the path."""
    text = "h = w * 2\nh.mul_(3)\nv = h.detach()\n(v * 1).sum().backward()"

    assert cut_lines(text) == [[4]]


def test_a_write_after_the_loss_is_not_behind_it() -> None:
    """Only what was there before counts."""
    text = (
        "out = torch.zeros(2)\npart = out[:1]\npart.copy_((w * 2)[:1].detach())\nloss = (out * 1).sum()\n"
        "out[1:].copy_((w * 3)[1:].detach())\nloss.backward()"
    )

    assert cut_lines(text) == [[4]]
