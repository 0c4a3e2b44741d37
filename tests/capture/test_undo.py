"""When a recording has ended, Python and PyTorch are as they were, and what others have changed meanwhile stays."""

from __future__ import annotations

import sys
import warnings

import torch
from torch.optim.optimizer import (
    _global_optimizer_post_hooks,
    _global_optimizer_pre_hooks,
    register_optimizer_step_post_hook,
)

from inplace.capture.patches import mode_off
from inplace.capture.record import Recorder

PATCHED = [*mode_off._UNSEEN, (torch.optim.Optimizer, "zero_grad"), (torch.overrides, "_len_torch_function_stack")]
PATCHED += [(torch.overrides, "_get_function_stack_at"), (torch.overrides, "_pop_mode"), (torch.utils, "weakref")]
PATCHED += [(torch.autograd, "_engine_run_backward"), (warnings, "_showwarnmsg")]


def state() -> list[object]:
    """What a recording changes."""
    hooks = [*_global_optimizer_pre_hooks.values(), *_global_optimizer_post_hooks.values()]
    return [*(getattr(owner, name, None) for owner, name in PATCHED), hooks, sys.gettrace()]


def recorder() -> Recorder:
    """One of this file."""
    return Recorder(title="test", is_cell=lambda name: name == __file__)


def test_everything_is_as_it_was() -> None:
    """Each function that we put ours in place of, and each hook; they are others while it goes on."""
    before = state()

    with recorder():
        during = state()
        torch.ones(2).numpy()[0] = 2

    assert state() == before
    assert all(
        one is not other for one, other in zip(during[: len(PATCHED)], before, strict=False) if other is not None
    )
    assert len(during[-2]) == len(before[-2]) + 2  # type: ignore[arg-type]


def test_so_it_is_after_an_error() -> None:
    """Whatever ended it."""
    before = state()

    try:
        with recorder():
            torch.ones(2).add_(torch.ones(3))
    except RuntimeError:
        pass

    assert state() == before


def test_what_somebody_else_has_put_there_stays() -> None:
    """A patch that came after ours is not ours to take back."""
    theirs = torch.overrides.has_torch_function

    def other(arguments: object) -> bool:
        return False

    try:
        with recorder():
            torch.overrides.has_torch_function = other
        assert torch.overrides.has_torch_function is other
    finally:
        torch.overrides.has_torch_function = theirs


def test_a_hook_of_the_users_stays() -> None:
    """Hooks of all optimizers are theirs too."""
    heard: list[int] = []
    handle = register_optimizer_step_post_hook(lambda *_: heard.append(1))
    parameter = torch.nn.Parameter(torch.ones(1))

    try:
        with recorder():
            parameter.sum().backward()
            torch.optim.SGD([parameter], lr=0.1).step()
        torch.optim.SGD([parameter], lr=0.1).step()
    finally:
        handle.remove()

    assert heard == [1, 1]
