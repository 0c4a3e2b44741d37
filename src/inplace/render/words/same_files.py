"""Reports of several machines, in which one script may lie in several places, as if it lay in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

Value = dict[str, Any]
_PLACED = ("diagnoses", "compared")  # what is compared between processes


def same_files(values: Sequence[Value]) -> list[Value]:
    """Public JSON values, each file of which is called as in the first that has it.

    Two files are taken for one that no process has both of, whose names are the same, and the folders above them for as
    far as they have to be to tell them from others of that name.
    """
    known: list[str] = []
    found = []
    for value in values:
        own = list(dict.fromkeys(_files_in([value[name] for name in _PLACED])))
        names = {file: same for file in own if file not in known and (same := _same(file, own, known)) is not None}
        known += [file for file in own if file not in known and file not in names]
        found.append({**value, **{name: _renamed(value[name], names) for name in _PLACED}} if names else value)
    return found


def _same(file: str, own: Sequence[str], known: Sequence[str]) -> str | None:
    """The one known file that a file of another process must be; None where none or several may be."""
    rivals = [one for one in own if one != file]
    near = {one: _common(file, one) for one in known if one not in own}
    best = max(near.values(), default=0)
    nearest = [one for one, count in near.items() if count == best]
    is_clear = best and len(nearest) == 1 and all(_common(other, nearest[0]) < best for other in rivals)
    return nearest[0] if is_clear else None


def _common(one: str, other: str) -> int:
    """How many parts of two paths are the same, counted from their ends."""
    count = 0
    for mine, theirs in zip(reversed(PurePath(one).parts), reversed(PurePath(other).parts), strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _files_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("file"), str):
            yield value["file"]
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from _files_in(item)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: names.get(one, one) if key == "file" else _renamed(one, names) for key, one in value.items()}
