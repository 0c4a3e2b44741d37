"""Changes of lines that call a method through its class, `torch.Tensor.mul_(h, 2)`."""

from __future__ import annotations

import pytest

from inplace.fixes.unbound import keeps_receivers, lacks_receiver
from tests.recording import record_text

START = "x = torch.randn(3, requires_grad=True)\nh = torch.sigmoid(x)\n"
WRONG = {
    "an export": "w = torch.ones(3, requires_grad=True)\nn = torch.Tensor.numpy(w)",
    "several pieces": START + "u = torch.Tensor.unbind(x * 1)\ntorch.Tensor.add_(u[0], 1)",
}
RIGHT = {
    "one in another": (
        START + "y = torch.Tensor.add_(torch.Tensor.mul_(h, 2), 1)\ny.sum().backward()",
        "h = torch.sigmoid(x).clone()",
    ),
    "a write": (
        START + "torch.Tensor.mul_(h, 2)\nh.sum().backward()",
        "h = torch.Tensor.mul(h, 2)",
    ),
    "a leaf": (
        "w = torch.ones(3, requires_grad=True)\ntorch.Tensor.mul_(w, 2)",
        "with torch.no_grad():\n    torch.Tensor.mul_(w, 2)",
    ),
}


def shown(text: str) -> list[str]:
    """The new lines of the changes that are shown."""
    return [one.rewrite.new.strip() for one in record_text(text).report.findings if one.rewrite is not None]


@pytest.mark.parametrize("name", WRONG)
def test_no_change_takes_the_class_for_a_tensor(name: str) -> None:
    """Where such a call hands over an array, or gives out several tensors."""
    assert shown(WRONG[name]) == []


@pytest.mark.parametrize("name", RIGHT)
def test_a_change_of_such_a_call_is_shown_where_it_mends(name: str) -> None:
    """It writes out of place, what was saved is a copy, or it is put under a mode."""
    text, new = RIGHT[name]

    assert shown(text) == [new]


@pytest.mark.parametrize("new", ["torch.Tensor.detach()", "y = Tensor.clone()", "nn.Parameter.detach() * 2"])
def test_a_method_of_the_class_has_a_tensor(new: str) -> None:
    """One that is called without is a mistake, unless the source has it already."""
    assert lacks_receiver("torch.Tensor.detach(x)", new)
    assert not lacks_receiver(new, new)
    assert not lacks_receiver("x.detach_()", "x.detach()")


def test_other_changes_are_none_of_its_business() -> None:
    """Lines without such calls may change as they like."""
    assert keeps_receivers("h.mul_(2)", "h = h.mul(2)")
    assert keeps_receivers("torch.Tensor.add_(h, 1)\ny = h.exp()", "torch.Tensor.add_(h, 1)\ny = h.exp().clone()")
    assert not keeps_receivers("n = torch.Tensor.numpy(w)", "n = torch.Tensor.numpy(w.detach().numpy())")
