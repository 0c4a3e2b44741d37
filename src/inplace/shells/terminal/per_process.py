"""What the files of several processes are called, so that none writes another's: `out.json` is `out.rank1.json`."""

from __future__ import annotations

import os
import re
from pathlib import Path

_STREAM = re.compile(r"-|/dev/.*|/proc/.*")


def file_of_rank(given: str) -> str:
    """What this process calls a file that was named on the command line of all ranks of a job.

    `{rank}` and `{pid}` in the name stand where they say; a name without either gets the rank before its last suffix,
    where this process is one of a job. Streams keep theirs.
    """
    rank, pid = os.environ.get("RANK", ""), str(os.getpid())
    if _STREAM.fullmatch(given):
        return given
    if "{rank}" in given or "{pid}" in given:
        return given.replace("{rank}", rank).replace("{pid}", pid)
    return with_part(given, f"rank{rank}") if is_of_job() else given


def is_of_job() -> bool:
    """Whether this process is one of a job: torchrun and what is started by it set RANK and WORLD_SIZE."""
    return os.environ.get("RANK", "").isdecimal() and os.environ.get("WORLD_SIZE", "").isdecimal()


def without_rank(name: str) -> str:
    """The name that was given for all ranks, of that of this one."""
    rank = os.environ.get("RANK", "")
    path = Path(name)
    return str(path.with_name(path.stem.removesuffix(f".rank{rank}") + path.suffix)) if is_of_job() else name


def with_part(given: str, part: str) -> str:
    """A file's name with a part before its last suffix: `out.rank0.json`."""
    path = Path(given)
    return str(path.with_name(f"{path.stem}.{part}{path.suffix}"))
