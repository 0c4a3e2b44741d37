"""Runs all programs in this rank, each under a recorder of its own: `python -m tests.ranks.both STORE RANK OUT`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from inplace.render.words.contract import diagnoses
from tests.ranks.every import PROGRAMS
from tests.recording import record_text


def main(store: str, rank: int, out: Path) -> None:
    """Run them, and write what was found."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    found = {}
    for name, program in PROGRAMS.items():
        dist.barrier()
        run = record_text(program.text, dist=dist, nn=nn, DDP=DistributedDataParallel, R=rank)
        found[name] = {**diagnoses(run.report), "raised": repr(run.error) if run.error else None}
    out.write_text(json.dumps(found))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
