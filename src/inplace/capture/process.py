"""Which of several processes this one is, asked of its environment and of a process group that is set up."""

from __future__ import annotations

import os
import socket
import sys

from inplace.facts.model import Process

_C10D = "torch.distributed.distributed_c10d"


def process_here(rank: int | None, world_size: int, child: tuple[str, int] | None) -> Process | None:
    """This process; None where nothing says that it is one of several.

    Args:
        rank: what a process group has said of it, None where none was asked.
        world_size: the same of how many there are, 0 where none was asked.
        child: how it was started, and the id of the process whose recording it is a child of; None for no child.
    """
    if rank is None:
        rank, world_size = _of_group()
    if rank is None and (child is None or child[0] == "torchrun"):
        rank, world_size = _number("RANK"), _number("WORLD_SIZE") or 0
        if not world_size:
            rank = None
    if rank is None and child is None:
        return None
    is_launched = "TORCHELASTIC_RUN_ID" in os.environ
    started = child[0] if child is not None else "torchrun" if is_launched else "script"
    local = _number("LOCAL_RANK") if rank is not None and rank == _number("RANK") else None
    parent = None if child is None else child[1]
    return Process(rank, local, world_size or None, socket.gethostname(), os.getpid(), started, parent)


def parent_of_others() -> Process:
    """This process, which is the parent of others and of no rank."""
    return Process(None, None, None, socket.gethostname(), os.getpid(), "script", None)


def _of_group() -> tuple[int | None, int]:
    """The rank in the process group that is set up, and how many there are."""
    c10d = sys.modules.get(_C10D)
    if c10d is None or not c10d.is_initialized():
        return None, 0
    return int(c10d.get_rank()), int(c10d.get_world_size())


def _number(name: str) -> int | None:
    """A number in the environment; None where there is none."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else None
