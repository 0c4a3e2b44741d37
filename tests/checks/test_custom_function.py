"""Gradients edited in place: told where another branch was given the same tensor, also as a view of it."""

from __future__ import annotations

import pytest
import torch

from inplace.checks.custom_function import CustomFunction
from tests.recording import record_text

TEXT = """
x = torch.ones(4, requires_grad=True)
w = torch.ones({shape}, requires_grad=True)
k = w * 3
h = x * 2
h.register_hook(lambda grad: {hook})
s = {seen} {sign} k
(s * 2).sum().backward()
"""


def culprits(**parts: str) -> tuple[list[int], torch.Tensor]:
    """The lines named for an edited gradient, and the gradient of the other branch, which is 6 if all is well."""
    ran = record_text(TEXT.format(**parts))
    found = [one for one in ran.report.of_type(CustomFunction) if one.saved == "grad_output"]
    return [place.position.line for one in found for place in one.culprits], ran.namespace["w"].grad


@pytest.mark.parametrize(
    ("shape", "seen"), [("4", "h"), ("2, 2", "h.view(2, 2)"), ("1, 4", "h.unsqueeze(0)"), ("4", "h.view(2, 2).view(4)")]
)
def test_an_edit_that_another_branch_reads(shape: str, seen: str) -> None:
    """A sum hands one gradient to both of its terms, and a view hands on a view of it, so the edit reaches both."""
    lines, other = culprits(shape=shape, seen=seen, sign="+", hook="grad.mul_(0)")

    assert other.unique().tolist() == [0]
    assert lines == [5]


@pytest.mark.parametrize(
    ("seen", "sign", "hook"), [("h", "+", "grad * 0"), ("h", "*", "grad.mul_(0)"), ("(h * 1)", "+", "grad.mul_(0)")]
)
def test_an_edit_that_nobody_else_reads(seen: str, sign: str, hook: str) -> None:
    """A new tensor, a product, which gives each factor a gradient of its own, and one made of it: nothing is shared."""
    lines, other = culprits(shape="4", seen=seen, sign=sign, hook=hook)

    assert other.unique().tolist() == [12 if sign == "*" else 6]
    assert lines == []


MADE = {
    "a function's": ("def scaled(by):\n    def hook(grad):\n        grad.mul_(by)\n    return hook", "scaled(0)", 3),
    "a lambda of a function's": ("def scaled(by):\n    return lambda grad: grad.mul_(by)", "scaled(0)", 2),
    "an object": ("class Scaled:\n    def __call__(self, grad):\n        grad *= 0\nhook = Scaled()", "hook", 3),
    "an object made there": ("class Scaled:\n    def __call__(self, grad):\n        grad *= 0", "Scaled()", 3),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("first", ["k", "h"])
def test_an_edit_by_a_hook_that_was_made_elsewhere(name: str, first: str) -> None:
    """A hook of a factory's, or of a class, is known as one that stands where it is given; and so is the order."""
    before, hook, line = MADE[name]
    made = {"k": "k = w * 3", "h": "h = x * 2"}
    rest = "\n".join([made.pop(first), *made.values(), f"h.register_hook({hook})", "((h + k) * 2).sum().backward()"])
    head = "x, w = (torch.ones(4, requires_grad=True) for _ in 'ab')\n"

    ran = record_text(f"{before}\n{head}{rest}")

    found = [one for one in ran.report.of_type(CustomFunction) if one.saved == "grad_output"]
    assert [place.position.line for one in found for place in one.culprits] == ([line] if first == "k" else [])
    assert ran.namespace["w"].grad.tolist() == ([0] * 4 if first == "k" else [6] * 4)


def test_an_edit_after_the_other_branch_has_read() -> None:
    """The branch whose nodes were made later runs first, and has read before the hook runs."""
    lines = TEXT.format(shape="4", seen="h", sign="+", hook="grad.mul_(0)").strip().split("\n")
    lines.insert(4, lines.pop(2))  # `k` is made after `h`
    ran = record_text("\n".join(lines))

    assert ran.namespace["w"].grad.tolist() == [6] * 4
    assert ran.report.of_type(CustomFunction) == []


BEGUN = "(s * 2).sum().backward()"


@pytest.mark.parametrize(
    "begin", ["s.backward(torch.ones(4) * 2)", "torch.autograd.backward(s, torch.full((4,), 2.0))"]
)
@pytest.mark.parametrize(("sign", "lines"), [("+", [5]), ("*", [])])
def test_an_edit_of_the_gradient_that_a_backward_is_begun_with(begin: str, sign: str, lines: list[int]) -> None:
    """A sum hands on what it was given to both of its terms, whoever has made that; a product gives each its own."""
    ran = record_text(TEXT.format(shape="4", seen="h", sign=sign, hook="grad.mul_(0)").replace(BEGUN, begin))

    found = [place.position.line for one in ran.report.of_type(CustomFunction) for place in one.culprits]
    assert found == lines
    assert ran.namespace["w"].grad.unique().tolist() == ([0] if lines else [12])


def test_an_edit_of_it_by_a_hook_of_the_root_is_none() -> None:
    """Both branches come behind it."""
    text = TEXT.format(shape="4", seen="h", sign="+", hook="grad * 1").replace(
        BEGUN, "s.register_hook(lambda grad: grad.mul_(0.5))\ns.backward(torch.ones(4))"
    )

    ran = record_text(text)

    assert ran.report.of_type(CustomFunction) == []
    assert ran.namespace["w"].grad.unique().tolist() == [1.5]
