"""What recording costs: `python benchmarks/overhead.py` prints ratios to plain, medians of alternating pairs."""

from __future__ import annotations

import contextlib
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import inplace

PAIRS = 7


class NoOp(TorchFunctionMode):
    """The floor: a mode that only passes calls on."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Pass the call on."""
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def anomaly(*, check_nan: bool) -> Iterator[None]:
    """Anomaly mode, the tool people use today."""
    with torch.autograd.set_detect_anomaly(True, check_nan=check_nan):
        yield


OBSERVERS: dict[str, Callable[[], Any]] = {
    "no-op mode": NoOp,
    "inplace": inplace.record,
    "anomaly": lambda: anomaly(check_nan=True),
    "anomaly, no NaN check": lambda: anomaly(check_nan=False),
}


def tiny() -> Callable[[], None]:
    """A loop of tiny operations that each take about a microsecond."""
    x = torch.ones(4, requires_grad=True)

    def run() -> None:
        y = x
        for _ in range(300):
            y = y * 1.01 + 0.1
        y.sum().backward()

    return run


def _steps(net: nn.Module, optimizer: torch.optim.Optimizer, batch: torch.Tensor, count: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(count):
            optimizer.zero_grad()
            net(batch).pow(2).mean().backward()
            optimizer.step()

    return run


def mlp() -> Callable[[], None]:
    """An MLP with Adam."""
    net = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(64, 64), nn.ReLU())))
    return _steps(net, torch.optim.Adam(net.parameters()), torch.randn(32, 64), 10)


class Block(nn.Module):
    """A residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add what two convolutions make of the input."""
        return x + self.norm(self.two(torch.relu(self.one(x))))


def cnn() -> Callable[[], None]:
    """A small residual CNN with SGD."""
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *(Block() for _ in range(4)))
    return _steps(net, torch.optim.SGD(net.parameters(), lr=0.01), torch.randn(8, 3, 24, 24), 3)


def transformer() -> Callable[[], None]:
    """A four-layer transformer with AdamW."""
    layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
    net = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
    return _steps(net, torch.optim.AdamW(net.parameters()), torch.randn(8, 32, 128), 2)


def timed(run: Callable[[], None], observer: Callable[[], Any] | None) -> float:
    """Seconds for one run under an observer; entering and leaving it is not counted."""
    gc.collect()
    context = observer() if observer is not None else contextlib.nullcontext()
    with context:
        begun = time.perf_counter()
        run()
        return time.perf_counter() - begun


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, one thread, medians of {PAIRS} pairs, ratio to plain")
    print(f"{'':14}" + "".join(f"{name:>24}" for name in OBSERVERS))
    for name, make in {"tiny ops": tiny, "MLP": mlp, "CNN": cnn, "transformer": transformer}.items():
        run = make()
        run()
        row = []
        for observer in OBSERVERS.values():
            timed(run, observer)
            row.append(statistics.median(timed(run, observer) / timed(run, None) for _ in range(PAIRS)))
        print(f"{name:14}" + "".join(f"{ratio:24.2f}" for ratio in row))


if __name__ == "__main__":
    main()
