"""Changes as unified diffs, as `git apply` takes them, and back; a change from outside may be JSON too."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from inplace.checks.finding import Rewrite
from inplace.facts.lines import lines_of

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_NO_END = "\\ No newline at end of file"


class PatchError(ValueError):
    """A patch that can't be read, or does not fit."""


def changed_text(text: str, rewrites: Iterable[Rewrite]) -> str:
    """A source text with several rewrites of it made; its line ends, and that it has none at its end, stay.

    Raises:
        PatchError: where one does not fit, or two change the same lines.
    """
    ordered = sorted(rewrites, key=lambda one: one.line)
    lines = _kept_ends(text)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    behind = len(lines) + 1
    for one in reversed(ordered):
        old, first = lines_of(one.old), one.line - 1
        if [line.rstrip("\r\n") for line in lines[first : first + len(old)]] != list(old) or one.line + len(
            old
        ) > behind:
            raise PatchError(f"the change of line {one.line} does not fit")
        behind = one.line
        new = [line + ending for line in lines_of(one.new)]
        if new and first + len(old) == len(lines) and lines and not lines[-1].endswith("\n"):
            new[-1] = new[-1].removesuffix(ending)
        lines[first : first + len(old)] = new
    return "".join(lines)


def _kept_ends(text: str) -> list[str]:
    """The lines of a text with their ends, as Python counts them: a form feed ends none."""
    return re.findall(r"[^\n]*\n|[^\n]+$", text)


def unified(file: str, old: str, new: str, folder: str) -> str:
    """A unified diff of one file, named as it is seen from a folder; empty where nothing changes."""
    name = PurePath(os.path.relpath(file, folder)).as_posix()
    lines = difflib.unified_diff(_kept_ends(old), _kept_ends(new), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n{_NO_END}\n" for line in lines)


def rewrites_of(patch: str, folder: str) -> tuple[Rewrite, ...]:
    """The rewrites that a patch asks for: a unified diff, or JSON with one or several of `file`, `line`, `old`, `new`.

    Args:
        patch: its text.
        folder: from which its file names are to be seen.

    Raises:
        PatchError: where it is neither.
    """
    if patch.lstrip().startswith(("{", "[")):
        return _of_json(patch, folder)
    found: list[Rewrite] = []
    file: str | None = None
    lines = patch.splitlines()
    for number, line in enumerate(lines):
        hunk = _HUNK.match(line)
        if line.startswith("+++ ") and lines[number - 1].startswith("--- "):
            file = _seen_from(folder, line[4:].partition("\t")[0].strip().removeprefix("b/"))
        elif hunk is not None and file is not None:
            old, new = _hunk(lines[number + 1 :], int(hunk[2] or 1), int(hunk[3] or 1))
            found.append(Rewrite(file, int(hunk[1]) + (hunk[2] == "0"), "\n".join(old), "\n".join(new)))
    if not found:
        raise PatchError("it has no hunk of a unified diff")
    return tuple(found)


def _hunk(lines: list[str], old_count: int, new_count: int) -> tuple[list[str], list[str]]:
    """The lines of a hunk before and after, as many as its head says."""
    old: list[str] = []
    new: list[str] = []
    for line in lines:
        sign, rest = line[:1] or " ", line[1:]
        if sign == "\\" or (len(old) == old_count and len(new) == new_count):
            continue
        old += [rest] if sign in " -" else []
        new += [rest] if sign in " +" else []
    if (len(old), len(new)) != (old_count, new_count):
        raise PatchError("a hunk has not the lines that its head says")
    return old, new


def _seen_from(folder: str, name: str) -> str:
    """A file's name as Python calls it: absolute, links left alone."""
    return os.path.normpath(Path(folder) / name)


def _of_json(patch: str, folder: str) -> tuple[Rewrite, ...]:
    try:
        value = json.loads(patch)
    except ValueError as error:
        raise PatchError(f"it is no JSON ({error})") from None
    items = value if isinstance(value, list) else [value]
    found = []
    for one in items:
        fits = isinstance(one, Mapping) and isinstance(one.get("line"), int)
        if not fits or not all(isinstance(one.get(name), str) for name in ("file", "old", "new")):
            raise PatchError("each change has to have file, line, old and new")
        found.append(Rewrite(_seen_from(folder, one["file"]), one["line"], one["old"], one["new"]))
    if not found:
        raise PatchError("it has no change")
    return tuple(found)
