"""The text of a cell: `%%inplace` above it, and the source of what stands below `%%time`."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from contextlib import contextmanager

MAGIC = "%%inplace"
TIMED = ("<timed exec>", "<timed eval>")
"""The files of what `%%time` compiles."""


def _is_ours(line: str) -> bool:
    return line.startswith(MAGIC) and (len(line) == len(MAGIC) or line[len(MAGIC)].isspace())


def take_away(lines: list[str]) -> list[str]:
    r"""Take the first line `%%inplace ...` away from a cell, keeping the numbers of the lines below it.

    Another cell magic must be the first line to be one, and counts its own lines anyway.

    >>> take_away(["%%inplace\n", "x = 1\n"])
    ['\n', 'x = 1\n']
    >>> take_away(["%%inplace\n", "%%time\n", "x = 1\n"])
    ['%%time\n', 'x = 1\n']
    """
    if not lines or not _is_ours(lines[0]):
        return lines
    rest = lines
    while rest and _is_ours(rest[0]):
        rest = rest[1:]
    return rest if rest and rest[0].startswith("%%") else ["\n"] * (len(lines) - len(rest)) + rest


# Transformers with side effects are left out where the terminal asks whether a cell is complete; so it sees a magic.
take_away.has_side_effects = True  # type: ignore[attr-defined]


def asked_for(cell: str) -> list[str]:
    """The options of every `%%inplace` among the cell magics with which a cell begins."""
    found = []
    for line in cell.lstrip("\n").splitlines():
        if not line.startswith("%%"):
            break
        if _is_ours(line):
            found.append(line[len(MAGIC) :].strip())
    return found


@contextmanager
def source_of_timed(cell: str) -> Iterator[None]:
    """Let the source of what stands below `%%time` be found, which IPython compiles under a name without text."""
    lines = take_away(cell.lstrip("\n").splitlines(keepends=True))
    while lines and lines[0].startswith("%%"):
        lines = take_away(lines[1:])
    missing = [name for name in TIMED if name not in linecache.cache]
    for name in missing:
        linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
    try:
        yield
    finally:
        for name in missing:
            linecache.cache.pop(name, None)
