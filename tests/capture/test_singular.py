"""Nodes whose derivative is not finite, found by what is compiled and without it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inplace.capture.calls import mode, offsets
from inplace.capture.graph import singular
from inplace.capture.graph.handles import UNPACKED
from inplace.capture.graph.singular import ELEMENTS, TESTS, singular_nodes

compiled = pytest.mark.skipif(
    mode.Shorthand is None or offsets.find() is None, reason="nothing was compiled, or nobody knows where elements lie"
)


@pytest.fixture(autouse=True)
def _unpacked() -> Iterator[None]:
    """What nodes save is seen, as in a recording; see NOTE [ Handles that show nothing ]."""
    UNPACKED.begin()
    yield
    UNPACKED.end()


VALUES = st.sampled_from([-2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, math.inf, -math.inf, math.nan])


def has_any(tensor: torch.Tensor, number: int) -> bool | None:
    """What is told of it where it lies."""
    from inplace.capture.calls import shorthand

    return shorthand.has_any(tensor, number)


def holds(tensor: torch.Tensor, number: int) -> bool:
    """What PyTorch tells of it."""
    return bool(TESTS[number].holds(tensor.detach()).any())


@compiled
@given(
    st.lists(VALUES, min_size=1, max_size=8),
    st.integers(0, len(TESTS) - 1),
    st.sampled_from([torch.float32, torch.float64]),
    st.sampled_from(["plain", "reversed order", "every second", "expanded", "a number", "transposed", "later"]),
)
def test_elements_are_read_as_pytorch_does(values: list[float], number: int, dtype: torch.dtype, way: str) -> None:
    """Where they lie, in whichever order and with whichever gaps."""
    whole = torch.tensor(values, dtype=dtype)
    tensor = {
        "plain": lambda: whole,
        "reversed order": lambda: whole.reshape(-1, 1).T,
        "every second": lambda: whole[::2],
        "expanded": lambda: whole.unsqueeze(1).expand(-1, 3),
        "a number": lambda: whole[0],
        "transposed": lambda: torch.stack([whole, whole.flip(0)])[:, : max(1, len(values) // 2)].T,
        "later": lambda: torch.cat([torch.zeros(3, dtype=dtype), whole])[3:],
    }[way]()
    assert has_any(tensor, number) == holds(tensor, number)


@compiled
def test_what_is_not_read_where_it_lies() -> None:
    """Other dtypes, memory that others own or that was taken away, and more elements than are looked at."""
    cut = torch.zeros(4)
    cut.untyped_storage().resize_(8)
    for tensor in (
        torch.zeros(3, dtype=torch.int64),
        torch.zeros(3, dtype=torch.float16),
        torch.zeros(3, dtype=torch.complex64),
        torch.from_numpy(np.zeros(3, dtype=np.float32)),
        torch.zeros(ELEMENTS + 1),
        torch.zeros(0),
        torch.zeros(3, device="meta"),
        torch.zeros(3).to_sparse(),
        torch.zeros(1, 1, 1, 1, 1, 1),
        cut,
    ):
        assert has_any(tensor, 0) is None


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: torch.Tensor) -> torch.Tensor:
        """Twice of it."""
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: torch.Tensor) -> torch.Tensor:
        """Twice of that."""
        return grads[0] * 2


PROGRAMS = {
    "log of zero": (lambda x: x.log().sum(), True, True),
    "log of others": (lambda x: (x + 1).log().sum(), False, True),
    "sqrt of zero": (lambda x: x.sqrt().sum(), True, True),
    "by zero": (lambda x: (1 / x).sum() + (x.detach() + 1).div(x).sum(), True, True),
    "by a number": (lambda x: (x / 2).sum(), False, True),
    "a power": (lambda x: x.pow(2).sum(), False, False),
    "a root": (lambda x: x.pow(0.5).sum(), True, True),
    "arcus": (lambda x: torch.acos(x + 1).sum(), True, True),
    "a norm of zero": (lambda x: (x * 0).norm(), True, True),
    "none": (lambda x: (x * 2 + 1).relu().sum(), False, False),
    "custom": (lambda x: _Doubled.apply(x).sum(), False, False),
    "custom over a root": (lambda x: _Doubled.apply(x).sqrt().sum(), True, True),
}


@pytest.mark.parametrize("is_compiled", [pytest.param(True, marks=compiled), False])
@pytest.mark.parametrize("name", PROGRAMS)
def test_singular_nodes(name: str, is_compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """The first made first, and whether other values would have one; the same a second time, when classes are known."""
    if not is_compiled:
        monkeypatch.setattr(singular, "saves_any", None)
    program, is_found, may_be = PROGRAMS[name]
    x = torch.tensor([0.0, 0.5], requires_grad=True)
    for _ in range(2):
        loss = program(x)
        found, could_be = singular_nodes([loss.grad_fn])
        assert (bool(found), could_be) == (is_found, may_be)
        assert found == sorted(found)


def test_a_custom_class_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would keep the variables of its script."""
    monkeypatch.setattr(singular, "_known", {})
    x = torch.tensor([0.0, 0.5], requires_grad=True)
    singular.singular_nodes([_Doubled.apply(x).sqrt().sum().grad_fn])
    assert not any(issubclass(kind, torch.autograd.function.BackwardCFunction) for kind in singular._known)
    assert singular._known
