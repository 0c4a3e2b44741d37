"""What the ledger of gradients costs: `python benchmarks/ledger.py` prints microseconds of the processor for a step.

Each model is trained under the recorder as it is, and under one that notes nothing of gradients, by turns; told is the
median of the differences, and what it is of a plain step. Then a long training is read: findings, and the table.
"""

from __future__ import annotations

import contextlib
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from models import cnn_model, mlp_model, transformer_model
from torch import nn

import inplace
from inplace.capture.gradients import Gradients
from inplace.capture.told import Told

PAIRS = 21
MODELS = {"MLP": (mlp_model, 40), "CNN": (cnn_model, 6), "transformer": (transformer_model, 4)}
LONG = 5_000  # steps of the long training


def _nothing(*_: Any, **__: Any) -> None:
    """Note nothing."""


@contextlib.contextmanager
def recorded(*, ledger: bool) -> Iterator[None]:
    """A recording, without what is noted of gradients if it is to be."""
    with contextlib.ExitStack() as stack:
        if not ledger:
            for name in ("cleared", "stepped", "hidden", "singular"):
                stack.enter_context(mock.patch.object(Gradients, name, _nothing))
            stack.enter_context(mock.patch("inplace.capture.walks.singular_nodes", return_value=([], False)))
            stack.enter_context(mock.patch.object(Told, "on_clear", _nothing))
        stack.enter_context(inplace.record())
        yield


def training(net: nn.Module, batch: torch.Tensor, steps: int) -> Callable[[], None]:
    """A loop of steps with Adam."""
    optimizer = torch.optim.Adam(net.parameters())

    def run() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            net(batch).pow(2).mean().backward()
            optimizer.step()

    return run


def timed(run: Callable[[], None], context: contextlib.AbstractContextManager[Any]) -> float:
    """Seconds of the processor for one run, without what it takes to enter and leave the context."""
    gc.collect()
    with context:
        begun = time.process_time()
        run()
        return time.process_time() - begun


def main() -> None:
    """Print the costs."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, one thread, medians of {PAIRS} alternating pairs")
    for name, (make, steps) in MODELS.items():
        run = training(*make(), steps)
        timed(run, recorded(ledger=True))
        plain = statistics.median(timed(run, contextlib.nullcontext()) for _ in range(PAIRS)) / steps
        pairs = [(timed(run, recorded(ledger=True)), timed(run, recorded(ledger=False))) for _ in range(PAIRS)]
        cost = statistics.median(one - other for one, other in pairs) / steps
        print(f"{name:12} {cost * 1e6:6.0f} us a step, {100 * cost / plain:4.1f} % of a plain one")
    with inplace.record() as recording:
        training(nn.Linear(4, 1), torch.randn(8, 4), LONG)()
    begun = time.process_time()
    report = recording.report
    looked = time.process_time()
    report.gradients()
    table = time.process_time() - looked
    print(f"{LONG:,} steps: {looked - begun:.1f} s to look for findings, {table:.2f} s more for the table")


if __name__ == "__main__":
    main()
