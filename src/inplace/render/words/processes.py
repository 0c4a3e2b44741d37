"""Processes in the public JSON and in sentences: which one, and what it is compared with others by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from inplace.facts.model import Process
from inplace.reading.ranks.compared import MOST, CollectiveCall, Compared
from inplace.reading.trace.index import Index


def process_facts(process: Process | None) -> dict[str, Any] | None:
    """A process as the JSON tells of it; None where there is only one."""
    return None if process is None else asdict(process)


def compared(index: Index) -> dict[str, Any] | None:
    """What a process is compared with others by; None where there is only one."""
    if index.trace.process is None:
        return None
    found = Compared(index)
    kinds: dict[CollectiveCall, int] = {}
    order = [kinds.setdefault(one, len(kinds)) for one in found.order]
    lines = [{"file": file, "function": name, "lines": lines} for (file, name), lines in found.lines.items()]
    return {
        "collectives": [_collective(one) for one in kinds],
        "order": order,
        "collectives_called": found.count,
        "lines": lines,
        "reached": found.reached,
    }


def compared_on(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a process is compared with others by, of two parts of its run, one behind the other; as much as of a whole.

    Raises:
        KeyError, TypeError, IndexError: if `before` is something else.
    """
    if before is None or after is None:
        return after if before is None else before
    kinds = {repr(one): one for one in (*before["collectives"], *after["collectives"])}
    numbers = {key: number for number, key in enumerate(kinds)}
    order = (part["collectives"][number] for part in (before, after) for number in part["order"])
    lines: dict[tuple[str, str], set[int]] = {}
    for one in (*before["lines"], *after["lines"]):
        lines.setdefault((one["file"], one["function"]), set()).update(one["lines"])
    return {
        "collectives": [*kinds.values()],
        "order": [numbers[repr(one)] for one in order][:MOST],
        "collectives_called": before["collectives_called"] + after["collectives_called"],
        "lines": [{"file": file, "function": name, "lines": sorted(own)} for (file, name), own in lines.items()],
        "reached": sorted({*before["reached"], *after["reached"]})[:MOST],
    }


def _collective(one: CollectiveCall) -> dict[str, Any]:
    return {
        "name": one.label,
        "group": list(one.group),
        "shape": list(one.shape),
        "dtype": one.dtype,
        "file": one.place.file,
        "line": one.place.position.line,
        "code": one.place.code,
    }


def tag(processes: Sequence[dict[str, Any]]) -> str:
    """Which processes something is true of: `[ranks 0-3]`, `[rank 1, pid 123]`."""
    ranks = sorted({one["rank"] for one in processes if one["rank"] is not None})
    others = [one for one in processes if one["rank"] is None]
    told = [f"rank{'s' if len(ranks) > 1 else ''} {spans(ranks)}"] if ranks else []
    told += [f"{'main' if one['parent'] is None else 'pid'} {one['pid']}" for one in others]
    return f"[{', '.join(told)}]"


def spans(numbers: Iterable[int]) -> str:
    """Numbers in short: `0-3, 5`."""
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)
