"""What recording costs several processes: `python benchmarks/ranks.py` trains on four ranks and in four processes.

An MLP of six layers trains under DistributedDataParallel on gloo, and without it. Each process measures the processor's
time of its own steps, all threads of it: ranks wait for each other, and how long depends on what else the machine does.
Printed is a step's time, the mean of the four, plain and recorded, and what recording adds. The exit status is 1 where
it multiplies the time of ranks by more than that of single processes, beyond a tenth for the noise of the machine.
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
    """Milliseconds of the processor for one step; with a `store` of all ranks, under DistributedDataParallel."""
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
                begin = time.process_time()
            optimizer.zero_grad()
            model(torch.randn(32, 128)).pow(2).mean().backward()
            optimizer.step()
        taken = time.process_time() - begin
    if store:
        dist.destroy_process_group()
    return 1000 * taken / STEPS


def four(*, recorded: bool, together: bool) -> float:
    """The mean of four processes, which train together or each by itself."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store") if together else ""
        command = [sys.executable, __file__, str(int(recorded)), store]
        running = [
            subprocess.Popen(  # noqa: S603  # this very file
                command, env={**os.environ, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True
            )
            for rank in range(FOUR)
        ]
        return sum(float(one.communicate()[0]) for one in running) / FOUR


def main() -> int:
    """Print the table; 1 where recording costs ranks more than single processes."""
    print("| | plain (ms a step) | recorded (ms) | added (ms) | ratio |\n| --- | --- | --- | --- | --- |")
    ratio = {}
    for name, together in (("four single processes", False), ("four ranks", True)):
        plain = min(four(recorded=False, together=together) for _ in range(2))
        ours = min(four(recorded=True, together=together) for _ in range(2))
        ratio[together] = ours / plain
        print(f"| {name} | {plain:.1f} | {ours:.1f} | {ours - plain:.1f} | {ours / plain:.2f} |", flush=True)
    return ratio[True] > 1.1 * ratio[False]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(train(recorded=sys.argv[1] == "1", store=sys.argv[2]))
    else:
        sys.exit(main())
