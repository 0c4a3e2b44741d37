"""Functions of PyTorch's C++ that tell the state of the thread, found by their names.

NOTE [ Asked without Python ]
Four questions come before every call: the number of the next node, whether gradients are recorded, whether inference
mode is on, and whether a transform (`torch.func`) is. Python's functions for them do no more than call one of C++ and
take longer than it. The libraries export these under names in which their classes and arguments are encoded. They are
asked only where all of them are there, and told the same as Python's in each state that they are to tell apart.
"""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

_WORD = ctypes.sizeof(ctypes.c_void_p)
_FOLDER = Path(torch.__file__).parent / "lib"
_ENDING = ".dylib" if sys.platform == "darwin" else ".so"


@dataclass(frozen=True)
class Exports:
    """Addresses of functions that take no arguments.

    Attributes:
        sequence: `at::sequence_number::peek`, which tells the number of the next node, of 64 bits.
        grad: `c10::GradMode::is_enabled`, a byte.
        inference: `c10::InferenceMode::is_enabled`, a byte.
        layers: `at::functorch::getDynamicLayerStack`, the address of a vector that is empty where no transform is on:
            then its first two words are equal.
    """

    sequence: int
    grad: int
    inference: int
    layers: int


def find() -> Exports | None:
    """The addresses; None where PyTorch has them otherwise, or they don't tell what its Python does."""
    try:
        torch_cpu, c10 = (_loaded(f"lib{name}{_ENDING}") for name in ("torch_cpu", "c10"))
        sequence = _function(torch_cpu, "_ZN2at15sequence_number4peekEv", ctypes.c_uint64)
        grad = _function(c10, "_ZN3c108GradMode10is_enabledEv", ctypes.c_bool)
        inference = _function(c10, "_ZN3c1013InferenceMode10is_enabledEv", ctypes.c_bool)
        layers = _function(torch_cpu, "_ZN2at9functorch20getDynamicLayerStackEv", ctypes.c_void_p)
        found = _tell_the_same(sequence, grad, inference, layers)
    except Exception:  # there are no such libraries or names, or this PyTorch has no such states
        return None
    return Exports(*map(_address, (sequence, grad, inference, layers))) if found else None


def _loaded(name: str) -> ctypes.CDLL:
    """A library that PyTorch has loaded, of which no second copy is."""
    return ctypes.CDLL(str(_FOLDER / name), mode=os.RTLD_NOW | os.RTLD_NOLOAD)


def _function(library: ctypes.CDLL, name: str, told: Any) -> Any:
    found = getattr(library, name)
    found.argtypes, found.restype = (), told
    return found


def _address(function: Any) -> int:
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)


def _tell_the_same(sequence: Any, grad: Any, inference: Any, layers: Any) -> bool:
    functorch: Any = torch._C._functorch

    def same() -> bool:
        begin, end = (ctypes.c_void_p * 2).from_address(layers())
        return (
            sequence() == torch._C._autograd._get_sequence_nr()
            and grad() == torch.is_grad_enabled()
            and inference() == torch.is_inference_mode_enabled()
            and (begin == end) == (functorch.peek_interpreter_stack() is None)
        )

    agree = [same()]
    for mode in (
        torch.no_grad(),
        torch.enable_grad(),
        torch.inference_mode(mode=True),
        torch.inference_mode(mode=False),
    ):
        with mode:
            agree.append(same())
    before = sequence()
    with torch.enable_grad():
        torch.ones((), device="cpu", requires_grad=True).neg()
    agree.append(sequence() > before and same())
    functorch._vmap_increment_nesting(1, "error")
    try:
        agree.append(same())
    finally:
        functorch._vmap_decrement_nesting()
    return all(agree) and same()
