"""What recording costs several processes: `python benchmarks/ranks.py` trains on four ranks and in four processes.

An MLP of six layers trains under DistributedDataParallel on gloo, and without it. Each process measures its own steps;
the slowest of the four counts. Printed is the time of a step, plain and recorded, and what recording adds to it: the
last column says whether it adds no more to ranks than to single processes, beyond a tenth for the noise of the machine.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

FOUR, STEPS, WARM = 4, 40, 10


def train(*, recorded: bool, store: str) -> float:
    """Milliseconds of one step; with a `store` of all ranks that is under DistributedDataParallel."""
    torch.set_num_threads(1)
    model: nn.Module = nn.Sequential(*(layer for _ in range(6) for layer in (nn.Linear(128, 128), nn.BatchNorm1d(128))))
    if store:
        rank = int(os.environ["RANK"])
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=FOUR)
        model = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with contextlib.ExitStack() as stack:
        if recorded:
            import inplace

            stack.enter_context(inplace.record())
        begin = 0.0
        for step in range(WARM + STEPS):
            if step == WARM:
                begin = time.perf_counter()
            optimizer.zero_grad()
            model(torch.randn(32, 128)).pow(2).mean().backward()
            optimizer.step()
        taken = time.perf_counter() - begin
    if store:
        dist.destroy_process_group()
    return 1000 * taken / STEPS


def four(*, recorded: bool, together: bool) -> float:
    """The slowest of four processes, which train together or each by itself."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store") if together else ""
        command = [sys.executable, __file__, str(int(recorded)), store]
        running = [
            subprocess.Popen(  # noqa: S603  # this very file
                command, env={**os.environ, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True
            )
            for rank in range(FOUR)
        ]
        return max(float(one.communicate()[0]) for one in running)


def main() -> int:
    """Print the table; 1 where recording adds more to ranks than to single processes."""
    print("| | plain (ms a step) | recorded (ms) | added (ms) |\n| --- | --- | --- | --- |")
    added = {}
    for name, together in (("four single processes", False), ("four ranks", True)):
        plain = min(four(recorded=False, together=together) for _ in range(2))
        ours = min(four(recorded=True, together=together) for _ in range(2))
        added[together] = ours - plain
        print(f"| {name} | {plain:.1f} | {ours:.1f} | {ours - plain:.1f} |", flush=True)
    return added[True] > 1.1 * added[False]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(train(recorded=sys.argv[1] == "1", store=sys.argv[2]))
    else:
        sys.exit(main())
