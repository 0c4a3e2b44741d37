"""The functions of PyTorch's C++ that are found by their names tell what its Python does, in every state."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inplace.capture.calls import exports

FOUND = exports.find()

pytestmark = pytest.mark.skipif(FOUND is None, reason="this PyTorch exports them otherwise")


def call(address: int, told: Any) -> Any:
    """What the function at an address tells."""
    return ctypes.CFUNCTYPE(told)(address)()


def by_names() -> tuple[int, bool, bool, bool]:
    """The number of the next node, gradient mode, inference mode, and whether a transform is on."""
    assert FOUND is not None
    begin, end = (ctypes.c_void_p * 2).from_address(call(FOUND.layers, ctypes.c_void_p))
    grad, inference = call(FOUND.grad, ctypes.c_bool), call(FOUND.inference, ctypes.c_bool)
    return call(FOUND.sequence, ctypes.c_uint64), grad, inference, begin != end


def asked() -> tuple[int, bool, bool, bool]:
    """The same, asked of Python."""
    transform: Any = torch._C._functorch.peek_interpreter_stack()
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    return torch._C._autograd._get_sequence_nr(), *modes, transform is not None


@contextmanager
def transformed() -> Iterator[None]:
    """Within a transform, as `torch.func.vmap` begins one."""
    functorch: Any = torch._C._functorch
    functorch._vmap_increment_nesting(2, "error")
    try:
        yield
    finally:
        functorch._vmap_decrement_nesting()


STATES: dict[str, Callable[[], Any]] = {
    "no_grad": torch.no_grad,
    "enable_grad": torch.enable_grad,
    "inference": torch.inference_mode,
    "no inference": lambda: torch.inference_mode(mode=False),
    "transform": transformed,
}


@given(st.lists(st.sampled_from(sorted(STATES)), max_size=6), st.integers(0, 3))
def test_they_tell_what_python_does(states: list[str], nodes: int) -> None:
    """In states within each other, and after nodes were made."""
    leaf = torch.ones(2, requires_grad=True)
    with ExitStack() as stack:
        for state in states:
            stack.enter_context(STATES[state]())
            assert by_names() == asked()
        if "transform" not in states:
            for _ in range(nodes):
                leaf * 2
        assert by_names() == asked()
    assert by_names() == asked()


def test_they_tell_of_the_thread_that_asks() -> None:
    """Modes are per thread."""
    found = []
    with torch.no_grad():
        thread = threading.Thread(target=lambda: found.append((by_names(), asked())))
        thread.start()
        thread.join()
        assert not by_names()[1]
    ((told, expected),) = found
    assert told == expected
    assert told[1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the libraries have other names")
def test_nothing_is_found_where_a_name_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then Python is asked."""
    ours = exports._function

    def without(library: Any, name: str, told: Any) -> Any:
        return ours(library, name + "x" if "GradMode" in name else name, told)

    monkeypatch.setattr(exports, "_function", without)
    assert exports.find() is None


def test_nothing_is_found_where_they_tell_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a function that tells another thing than it did."""
    monkeypatch.setattr(torch, "is_grad_enabled", lambda: True)
    assert exports.find() is None
