"""What recording costs: `python benchmarks/overhead.py` prints ratios to plain, medians of alternating pairs.

Each cell's code is run some times under one observer: the table has the ratio of the later times, which is what every
further step costs, and behind it that of the first time, in which much is met that is known later. Behind each stands
half the range in which the middle half of the pairs lies. What is timed is the processor time of the process, so that
others on the machine count little. Then it prints what beginning and ending cost a script.

With `--write` it also writes docs/benchmarks.md and its chart, records a million calls for them, looks at a hundred
thousand in a browser, and measures torchlens where it is installed (some minutes).
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from models import cart_pole, cnn_model, mlp_model, q_learning, transformer_model
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._debug_mode import DebugMode

import inplace
from inplace.capture.calls import mode as call_mode

PAIRS = 9
LATER = 2  # times that a cell's code runs again under the same observer
PART = 10_000  # calls of a long cell that are timed together
DOCS = Path(__file__).resolve().parents[1] / "docs"


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
    "inplace --light": lambda: inplace.record(light=True),
    "anomaly": lambda: anomaly(check_nan=True),
    "anomaly, no NaN check": lambda: anomaly(check_nan=False),
    "DebugMode": DebugMode,
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
    net, batch = mlp_model()
    return _steps(net, torch.optim.Adam(net.parameters()), batch, 30)


def cnn() -> Callable[[], None]:
    """A small residual CNN with SGD."""
    net, batch = cnn_model()
    return _steps(net, torch.optim.SGD(net.parameters(), lr=0.01), batch, 8)


def transformer() -> Callable[[], None]:
    """A four-layer transformer with AdamW."""
    net, batch = transformer_model()
    return _steps(net, torch.optim.AdamW(net.parameters()), batch, 5)


def policy() -> Callable[[], None]:
    """REINFORCE on a cart-pole, a state at a time."""
    return cart_pole()


def timed(run: Callable[[], None], observer: Callable[[], Any] | None, later: int = 0) -> list[float]:
    """Seconds of the processor for each of some runs under an observer; entering and leaving it is not counted."""
    gc.collect()
    found = []
    with observer() if observer is not None else contextlib.nullcontext():
        for _ in range(1 + later):
            begun = time.process_time()
            run()
            found.append(time.process_time() - begun)
    return found


CELLS = {
    "tiny ops": (tiny, "600 operations on 4 elements, then backward"),
    "MLP": (mlp, "8 layers of 64, Adam, 30 steps"),
    "CNN": (cnn, "4 residual blocks, SGD, 8 steps"),
    "transformer": (transformer, "4 layers of 128, AdamW, 5 steps"),
    "policy gradient": (policy, "a cart-pole with batch-1 calls, Adam, 4 episodes"),
    "Q-learning": (q_learning, "a cart-pole with batch-1 calls and 50 batches of 64, Adam, 200 steps"),
}


Ratios = tuple[float, float]  # of the later runs, and of the first


def ratios() -> dict[str, list[Ratios]]:
    """For each cell, the ratios to plain of each observer."""
    found = {}
    for name, (make, _) in CELLS.items():
        run = make()
        run()
        pairs: list[list[Ratios]] = [[] for _ in OBSERVERS]
        for observer in OBSERVERS.values():
            timed(run, observer)
        for _ in range(PAIRS):  # in turn, so that all of them meet the same weather
            for kept, observer in zip(pairs, OBSERVERS.values(), strict=True):
                first, *later = timed(run, observer, LATER)
                plain = statistics.mean(timed(run, None, LATER))
                kept.append((statistics.mean(later) / plain, first / plain))
        found[name] = [(statistics.median(k[0] for k in kept), statistics.median(k[1] for k in kept)) for kept in pairs]
        print(f"{name:16}" + "".join(f"{_told(kept):>26}" for kept in pairs), flush=True)
    return found


def _told(ratios: list[Ratios]) -> str:
    """Medians, each with half the range of the middle half."""
    sides = []
    for side in zip(*ratios, strict=True):
        low, middle, high = statistics.quantiles(side, n=4)
        sides.append(f"{middle:.2f} ±{(high - low) / 2:.2f}")
    return f"{sides[0]} ({sides[1]})"


def starts() -> dict[str, float]:
    """Seconds of the processor, the least of five, of a script that does one step: plain, and run by us in each way."""
    ways = {"plain": [], "inplace run": ["-m", "inplace", "run"], "inplace run --light": ["-m", "inplace", "run"]}
    ways["inplace run --light"].append("--light")
    least = dict.fromkeys(ways, math.inf)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "step.py"
        script.write_text("import torch\ntorch.ones(3, requires_grad=True).exp().sum().backward()\n", encoding="utf-8")
        for _ in range(5):
            for name, words in ways.items():
                before = os.times()
                subprocess.run([sys.executable, *words, str(script)], check=True, capture_output=True)  # noqa: S603
                after = os.times()
                spent = after.children_user + after.children_system - before.children_user - before.children_system
                least[name] = min(least[name], spent)
    return least


def forwards() -> dict[str, tuple[float, float]]:
    """For each model, the ratios to plain of one forward under torchlens, which logs no more than that, and under us.

    Empty where torchlens is not installed.
    """
    if find_spec("torchlens") is None:
        return {}
    import torchlens

    found = {}
    for name, make in {"MLP": mlp_model, "CNN": cnn_model, "transformer": transformer_model}.items():
        net, batch = make()
        call, logged = partial(net, batch), partial(torchlens.trace, net, batch)
        for run in (call, logged):
            run()
        theirs = statistics.median(timed(logged, None)[0] / timed(call, None)[0] for _ in range(PAIRS))
        ours = statistics.median(timed(call, inplace.record)[0] / timed(call, None)[0] for _ in range(PAIRS))
        found[name] = (theirs, ours)
        print(f"{name:14}{theirs:.0f} under torchlens {torchlens.__version__}, {ours:.1f} under inplace, one forward")
    return found


def chain(count: int) -> None:
    """Tensors made, written and dropped."""
    z = torch.ones(4)
    for _ in range(count // 4):
        z = z * 1.01
        y = z + 1
        y.mul_(0.5)
        z = z - y


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def scale(calls: int) -> dict[str, Any]:
    """A long cell: microseconds a call along the way, bytes a call, and seconds until it is shown."""
    chain(PART)
    before, costs = _resident(), []
    with inplace.record() as recording:
        for _ in range(calls // PART):
            begun = time.perf_counter()
            chain(PART)
            costs.append((time.perf_counter() - begun) / PART * 1e6)
        used = _resident() - before
        begun = time.perf_counter()
    stopped = time.perf_counter()
    report = recording.report
    analysed = time.perf_counter()
    page = report.to_html()
    return {
        "calls": calls,
        "costs": costs,
        "bytes": used / calls,
        "stop": stopped - begun,
        "analysis": analysed - stopped,
        "page": time.perf_counter() - analysed,
        "payload": len(page),
    }


def chart(found: dict[str, list[Ratios]], large: dict[str, Any]) -> None:
    """Draw the ratios, and the cost of a call over a million calls."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "inplace"
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.9), layout="constrained")
    width = 0.8 / len(OBSERVERS)
    for number, name in enumerate(OBSERVERS):
        places = [row + number * width for row in range(len(found))]
        left.bar(places, [row[number][0] for row in found.values()], width, label=name)
    left.axhline(1, color="black", linewidth=0.8)
    left.set_xticks([row + 0.4 - width / 2 for row in range(len(found))], [name.replace(" ", "\n") for name in found])
    left.set_ylabel("time, ratio to plain")
    figure.legend(loc="outside lower left", ncols=len(OBSERVERS), frameon=False, fontsize=8)
    right.plot([(number + 1) * PART / 1e6 for number in range(len(large["costs"]))], large["costs"])
    right.set_ylim(bottom=0)
    right.set_xlabel("million calls in one cell")
    right.set_ylabel("microseconds a call, recorded")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "img" / "benchmarks.svg", metadata={"Date": None})


def page(
    found: dict[str, list[Ratios]], once: dict[str, tuple[float, float]], large: dict[str, Any], seen: dict[str, Any]
) -> str:
    """The page of the docs."""
    listed = ", ".join(f"{name} {theirs:.0f} (ours: {ours:.1f})" for name, (theirs, ours) in once.items())
    lens = "was not installed" if not once else f"{version('torchlens')} takes this much of one forward: {listed}"
    heads = " | ".join(OBSERVERS)
    rows = "\n".join(
        f"| {name}: {CELLS[name][1]} | " + " | ".join(f"{later:.2f} ({first:.2f})" for later, first in row) + " |"
        for name, row in found.items()
    )
    rest = large["stop"] + large["analysis"] + large["page"]
    return f"""# What recording costs

Written by `python benchmarks/overhead.py --write`: torch {torch.__version__}, Python {platform.python_version()},
one thread of {platform.machine()}, medians of {PAIRS} alternating pairs, ratio to the same code without an observer:
of what runs again under the same observer, and in brackets of the first time. The recorder's compiled part was
{"there" if call_mode.Shorthand is not None else "not built"}.
Entering and leaving the recording, and looking at it, are not counted.

| | {heads} |
| --- |{" --- |" * len(OBSERVERS)}
{rows}

![The ratios, and the cost of a call over a million calls](img/benchmarks.svg)

- `no-op mode` is a `TorchFunctionMode` that only passes calls on: what a recorder written in Python can't go below,
  save where it takes itself off the stack, as we do during a step of PyTorch's own optimizers.
- `anomaly` is `torch.autograd.set_detect_anomaly(True)`, and `DebugMode` is `torch.utils._debug_mode.DebugMode`.
- torchlens logs one forward of a module, and no backward or step, so it has no column. As a ratio to plain, torchlens
  {lens}.

## A long cell

{large["calls"]:,} calls in one cell: {large["bytes"]:.0f} bytes a call while recording.
Each of the first {PART:,} calls took {large["costs"][0]:.1f} microseconds, the operation itself included, and each of
the last {large["costs"][-1]:.1f}. Then {rest:.0f} s until it is shown: {large["stop"]:.1f} s to end the recording,
{large["analysis"]:.1f} s of analysis, and {large["page"]:.1f} s for a page of {large["payload"] / 1e6:.1f} MB.
`tests/test_growth.py` holds work and bytes to linear growth by counting them.

## A long look

`python benchmarks/analysis.py 300000 1000000`: a training loop with a clamp through `detach`, an update by index, a
checkpoint and a list of losses, looked at after so many calls. 300,008 calls take 6.4 s of the processor, 21 us
each, and 1,000,009 calls 23.1 s, 23 us each; 1.9 GB at most, the loop itself included.

## Several processes

`python benchmarks/ranks.py`: an MLP of six layers and batch norms trains in four processes, each by
itself, and on four ranks under DistributedDataParallel (gloo, which broadcasts 18 buffers before each forward).
Milliseconds of the processor for a step of one process, on a shared machine of two cores; ranks wait for each other:

| | plain | recorded | ratio |
| --- | --- | --- | --- |
| four single processes | 1.1 | 2.4 | 2.26 |
| four ranks | 3.6 | 6.8 | 1.89 |

Where nobody has to wait (one rank of one) recording adds 1.1 ms to a step under DistributedDataParallel (1.9 to 3.0),
and 1.1 ms without it (0.9 to 2.0).

## In the browser

A cell of {seen["calls"]:,} calls is a page of {seen["payload"] / 1e3:,.0f} KB {seen["made"]:.1f} s after it ends, and
headless Chromium has painted it {seen["opened"]:.1f} s later.
Scrolled from the first call to the last within {seen["frames"]} frames, every call a row of its own, it draws
{seen["scrolled"]:.0f} frames a second, the longest after {seen["longest"]:.0f} ms; when another call is chosen in each
frame, {seen["stepped"]:.0f}. The browser draws 60 at most.
"""


def main() -> None:
    """Print the table; write the docs if asked to."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    how = "plain Python" if call_mode.Shorthand is None else "compiled in part"
    print(f"torch {torch.__version__}, one thread, medians of {PAIRS} pairs, ratio to plain: later (first)")
    print(f"the recorder is {how}")
    print(f"{'':16}" + "".join(f"{name:>26}" for name in OBSERVERS))
    found = ratios()
    plain, *others = starts().items()
    print(f"a script of one step: {plain[1]:.2f} s, of which most is the import of torch; ", end="")
    print(", ".join(f"{name} adds {seconds - plain[1]:.2f} s" for name, seconds in others), flush=True)
    if "--write" in sys.argv[1:]:
        from browsing import browsed  # which needs a browser, as the table does not

        large = scale(1_000_000)
        chart(found, large)
        seen = browsed(chain)
        once = forwards()  # last: from then on every function of PyTorch is one of torchlens's
        (DOCS / "benchmarks.md").write_text(page(found, once, large, seen), encoding="utf-8")


if __name__ == "__main__":
    main()
