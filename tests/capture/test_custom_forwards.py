"""The forward of a custom function is known by its code where no frame of `apply` stands below it, as since 2.14."""

from __future__ import annotations

import pytest
import torch

from inplace.capture.code import custom_forwards
from tests.recording import record_text


class Plain(torch.autograd.Function):
    """Both static methods are called by PyTorch."""

    @staticmethod
    def forward(a: torch.Tensor) -> torch.Tensor:
        """Double."""
        return a * 2

    @staticmethod
    def setup_context(ctx: object, inputs: object, output: object) -> None:
        """Save nothing."""


class Deeper(Plain):
    """A subclass of a subclass, with a decorator that PyTorch ships."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx: object, a: torch.Tensor) -> torch.Tensor:
        """Triple."""
        return a * 3


class Module(torch.nn.Module):
    """Has a `forward` that no custom function has."""

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        """Double."""
        return a * 2


def test_forward_is_known_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of custom functions are, decorated or inherited from; others of this name are not."""
    monkeypatch.setattr(custom_forwards, "IS_SHOWN", False)

    assert custom_forwards.is_forward(Plain.forward.__code__)
    assert custom_forwards.is_forward(Plain.setup_context.__code__)
    assert custom_forwards.is_forward(Deeper.forward.__wrapped__.__code__)
    assert not custom_forwards.is_forward(Module.forward.__code__)


def test_apply_is_named_as_what_was_entered() -> None:
    """The frame that called the custom function is told as one that called `apply`, by its frame or by the code."""
    recorded = record_text(
        "class Double(torch.autograd.Function):\n"
        "    @staticmethod\n"
        "    def forward(ctx, a):\n"
        "        return a.mul(2)\n"
        "    @staticmethod\n"
        "    def backward(ctx, grad):\n"
        "        return grad * 2\n"
        "y = Double.apply(torch.ones(2, requires_grad=True))"
    )

    inner, outer, *_ = recorded.calls("mul")[0].stack.frames
    assert (inner.entry, outer.entry) in {(None, "Function.apply"), (None, "apply")}
