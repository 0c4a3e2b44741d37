"""The forward of a custom function is known by its code where no frame of `apply` stands below it, as since 2.14."""

from __future__ import annotations

import sys

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


CALLS = {
    "by its class": "Plain.apply(a)",
    "by another name": "double(a)",
    "within another call": "str(Plain.apply(a))",
    "of a module": "home.Plain.apply(a)",
    "of an object": "holder.kind.apply(a)",
}
OTHERS = {
    "another call on its line": "Plain.apply(torch.ones(2)) + fails(a)",
    "an apply of something else": "Other.apply(a)",
    "no name": "[Plain.apply][0](a)",
}


@pytest.mark.parametrize("text", [*CALLS.values(), *OTHERS.values()])
@pytest.mark.skipif(sys.version_info < (3, 11), reason="code says no columns before")
def test_apply_without_a_frame_is_known_by_what_was_called(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instruction that an exception has left tells, by the names and attributes that it calls."""

    class Other:
        apply = staticmethod(lambda a: 1 / 0)

    class Kept:
        kind = None

    holder = Kept()
    holder.__dict__["kind"] = Plain
    monkeypatch.setattr(custom_forwards, "IS_SHOWN", False)
    monkeypatch.setattr(Plain, "forward", staticmethod(lambda a: 1 / 0 if a is None else a))
    known = {"Plain": Plain, "double": Plain.apply, "home": sys.modules[__name__], "holder": holder, "Other": Other}

    with pytest.raises(ZeroDivisionError) as raised:
        exec(compile(text, "here", "exec"), {**known, "a": None, "torch": torch, "fails": lambda a: 1 / 0})
    entry = raised.value.__traceback__
    assert entry is not None
    while entry.tb_frame.f_code.co_filename != "here":
        entry = entry.tb_next
        assert entry is not None

    found = custom_forwards.applied_at(entry.tb_frame, entry.tb_lasti)
    assert found is (Plain if text in CALLS.values() else None)
