"""What looking at a recording costs: `python benchmarks/analysis.py [CALLS ...]` prints the time of analysis by calls.

A small mixed loop is recorded for so many calls (30,000, 100,000 and 300,000 if none are given): a training loop with
a clamp through `detach`, an update by index, a checkpoint and a list that keeps values. The time is that of the
processor, so a busy machine changes it little; what a call costs is to be the same however many there are.
"""

from __future__ import annotations

import resource
import sys
import time

import torch
from torch.utils.checkpoint import checkpoint

from inplace.fixes.diagnose import analyze
from inplace.shells.recorder import recorder_of

CALLS = (30_000, 100_000, 300_000)
OF_A_STEP = 27  # calls of one round of the loop


def loop(rounds: int) -> list[float]:
    """So many rounds of a training loop in which most of what is looked for comes up."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    counts, mean, losses = torch.zeros(8), torch.zeros(4), []
    for _ in range(rounds):
        x = torch.randn(16, 4)
        with torch.no_grad():
            mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
            counts[torch.randint(0, 8, (4,))] += 1
        optimizer.zero_grad()
        hidden = net(x - mean)
        hidden.detach().clamp_(-5, 5)
        loss = hidden.pow(2).mean() + checkpoint(net, x, use_reentrant=False).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def measured(calls: int) -> tuple[int, float]:
    """The calls that were recorded, and the seconds of the processor that looking at them took."""
    recorder = recorder_of({__file__}, globals(), title="analysis")
    recorder.start()
    loop(calls // OF_A_STEP)
    trace = recorder.stop()
    begun = time.process_time()
    analyze(trace)
    return len(trace.calls), time.process_time() - begun


def main(arguments: list[str]) -> None:
    """Print a line for each number of calls."""
    for wanted in map(int, arguments or CALLS):
        calls, seconds = measured(wanted)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{calls:>9,} calls: {seconds:6.1f} s, {seconds / calls * 1e6:5.1f} us a call, {memory:,} MB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
