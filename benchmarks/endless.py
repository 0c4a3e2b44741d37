"""Runs that never end: `python benchmarks/endless.py [MILLIONS]` prints the memory of a recording with `--keep`.

A small training loop makes so many millions of calls (0.5 if none are given) in a process of its own, recorded in
windows. Each line is the resident memory of the process after a tenth of the calls. The last line says whether the
second half of them added less than 20 MB; the exit status is 1 where it did not.
"""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

STEP = 8  # calls of one iteration
LINES = 10
ROOM = 20  # megabytes


def resident() -> float:
    """The resident memory of this process, in megabytes (Linux)."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096 / (1 << 20)


def train(iterations: int, found: list[float]) -> None:
    """Train a small model, and note the memory ten times."""
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for number in range(1, iterations + 1):
        optimizer.zero_grad()
        loss = model(torch.randn(16, 4)).pow(2).mean()
        loss.backward()
        optimizer.step()
        if number % (iterations // LINES) == 0:
            found.append(resident())


def main(calls: int) -> int:
    """Record it, print the line, and give the exit status."""
    from inplace.shells.recorder import nothing_carried, recorder_of, windows_of
    from inplace.shells.windows import WindowsSeen

    seen, found = WindowsSeen(), list[float]()
    windows = windows_of(seen.calls, seen.told)
    recorder = recorder_of([__file__], globals(), title="endless", earlier=nothing_carried(), windows=windows)
    recorder.start()
    train(calls // STEP, found)
    recorder.stop()
    for number, megabytes in enumerate(found[:LINES], 1):
        print(f"{number * calls // LINES:>12,} calls  {megabytes:8.1f} MB", flush=True)
    grown = found[LINES - 1] - found[LINES // 2 - 1]
    print(f"the second half added {grown:.1f} MB: {'flat' if grown < ROOM else 'IT GROWS'}")
    return int(grown >= ROOM)


def _in_child(calls: int) -> None:
    sys.exit(main(calls))


if __name__ == "__main__":
    wanted = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5
    child = multiprocessing.get_context("spawn").Process(target=_in_child, args=(int(wanted * 1_000_000),))
    child.start()
    child.join()
    sys.exit(child.exitcode)
