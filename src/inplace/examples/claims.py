"""What PyTorch does about each claim, found out by running it here and now."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from inplace.examples.checks_grad import GRADIENTS
from inplace.examples.checks_heard import HEARD
from inplace.examples.checks_lessons import LESSONS
from inplace.examples.checks_values import VALUES
from inplace.examples.evidence import Evidence

__all__ = ["CHECKS", "Evidence", "check"]

CHECKS: dict[str, Callable[[], Evidence]] = {**VALUES, **GRADIENTS, **HEARD, **LESSONS}


def check(id: str) -> Evidence:  # noqa: A002
    """Run the check of one claim. It leaves random state, default type and gradient mode as they are."""
    # Modes, hooks on saved tensors and whether gradients are on belong to a thread, so one of its own has none of ours.
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(_alone, CHECKS[id]).result()


def _alone(run: Callable[[], Evidence]) -> Evidence:
    dtype = torch.get_default_dtype()
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.autograd.set_detect_anomaly(mode=False):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        torch.set_default_dtype(torch.float32)
        try:
            return run()
        finally:
            torch.set_default_dtype(dtype)
