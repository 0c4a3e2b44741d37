"""What recording holds: `python benchmarks/memory.py` prints the peak memory of programs, plain and recorded.

Each runs in a process of its own, 1,000 steps or as many as the first argument says. The last column says whether the
peak stays within a tenth and 60 MB of plain; the exit status is 1 where one does not.
"""

from __future__ import annotations

import contextlib
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch
from models import Model, cnn_model, transformer_model
from torch import nn

STEPS = 1000
ROOM = 60  # megabytes
MEGABYTE = 1 << 20 if sys.platform == "darwin" else 1 << 10  # in what `ru_maxrss` counts


class Summed(nn.Module):
    """Layers whose results are clamped in place, with the mean of their input added."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(256, 256) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the mean of what goes into each layer."""
        for layer in self.layers:
            x = torch.relu_(layer(x)) + x.mean()
        return x


def relu(steps: int) -> None:
    """Blocks of 6 MB, clamped in place."""
    x = torch.ones(1_500_000)
    for _ in range(steps):
        y = (x + 1).relu_()
        y = (y * 2).relu_() + 1


def _train(model: Model, optimizer: Callable[..., torch.optim.Optimizer], steps: int) -> None:
    net, batch = model
    step = optimizer(net.parameters(), lr=0.01)
    for _ in range(steps):
        step.zero_grad()
        net(batch).pow(2).mean().backward()
        step.step()


def mlp(steps: int) -> None:
    """An MLP with momentum, 6 MB an activation."""
    _train((Summed(), torch.randn(6000, 256)), lambda *args, lr: torch.optim.SGD(*args, lr=lr, momentum=0.9), steps)


def cnn(steps: int) -> None:
    """A small residual CNN with SGD."""
    _train(cnn_model(), torch.optim.SGD, steps)


def transformer(steps: int) -> None:
    """A four-layer transformer with AdamW."""
    _train(transformer_model(), torch.optim.AdamW, steps)


PROGRAMS = {run.__name__: run for run in (relu, mlp, cnn, transformer)}


def alone(name: str, steps: int, how: str) -> None:
    """Run a program in this process, where we are imported only to record it, and print the peak in megabytes."""
    torch.manual_seed(0)
    recorded: Any = contextlib.nullcontext()
    if how == "recorded":
        import inplace

        recorded = inplace.record()
    with recorded as recording:
        PROGRAMS[name](steps)
    if recording is not None:
        str(recording.report)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MEGABYTE)


def peak(name: str, steps: int, how: str) -> int:
    """The peak of a program's memory in megabytes."""
    command = [sys.executable, __file__, str(steps), name, how]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # our own command
    return int(done.stdout)


def main(steps: int) -> bool:
    """Print the table; whether all programs stay within their room."""
    print(f"torch {torch.__version__}, {steps} steps, peak MB\n{'':14}{'plain':>10}{'recorded':>10}{'ratio':>8}")
    kept = True
    for name in PROGRAMS:
        plain, recorded = (peak(name, steps, how) for how in ("plain", "recorded"))
        fits = recorded <= 1.1 * plain + ROOM
        kept = kept and fits
        told = "" if fits else "  too much"
        print(f"{name:14}{plain:10}{recorded:10}{recorded / plain:8.2f}{told}", flush=True)
    return kept


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else STEPS
    if len(sys.argv) > 2:  # noqa: PLR2004  # a process of its own
        alone(sys.argv[2], count, sys.argv[3])
    else:
        sys.exit(0 if main(count) else 1)
