"""What is learned of a cell that failed without a recording, by running the session again in a closed process."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inplace.judge.fenced import Fenced
from inplace.shells.notebook.cells import take_away
from inplace.shells.notebook.play import ANSWER

_LONGEST = 60.0  # seconds that the cells may have taken, so that they are run again
_STARTING = 60.0  # seconds that a process may take to begin
_FACTOR = 5  # how many times slower the recorded cells may be
_OURS = re.compile(r"^\s*(%inplace\b|%load_ext\s+inplace\b|%reload_ext\s+inplace\b|%unload_ext\s+inplace\b)")
_SYSTEM = re.compile(r"^\s*(!|%pip\b|%conda\b|%%(bash|sh|script|writefile|html|HTML|javascript|js|latex|svg)\b)")
_VARIES = re.compile(r"0x[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Played:
    """What the cells showed when they were run again, or why that says nothing.

    Attributes:
        text: the report on the last of them; None where they ended in another way, or were not run.
        why_not: why there is no report, in a clause; empty where there is one.
    """

    text: str | None
    why_not: str = ""


def played(cells: Sequence[tuple[int, str]], error: BaseException, seconds: float) -> Played:
    """Run cells again, recorded, in a process that may change nothing outside it.

    Args:
        cells: the number of each run, and its text; the last is the one that failed.
        error: what it failed with.
        seconds: how long they took.
    """
    if seconds > _LONGEST:
        return Played(None, f"the cells before it took {seconds:.0f} seconds, which is too long to run them again")
    if _uses_gpu():
        return Played(None, "the cells use a GPU, whose memory a second run would need too")
    with tempfile.TemporaryDirectory(prefix="inplace-") as name:
        folder = Path(name) / "session"
        folder.mkdir()
        answer = _run([(run, without_ours(text)) for run, text in cells], folder, _STARTING + _FACTOR * seconds)
    if isinstance(answer, str):
        return Played(None, answer)
    if answer["raised"] is None or _told(*answer["raised"]) != _told(type(error).__name__, str(error)):
        ended = "without an error" if answer["raised"] is None else f"with {answer['raised'][0]}"
        refused = f", which may not do this: {answer['refused']}" if answer["refused"] is not None else ""
        return Played(None, f"run again in a closed process{refused}, the cells ended {ended}")
    if not answer["found"]:
        return Played(None, "run again in a closed process the same error came, and we found nothing behind it")
    return Played(str(answer["text"]))


def _told(kind: str, message: str) -> tuple[str, str]:
    return kind, _VARIES.sub("0x", message)


def _uses_gpu() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


def without_ours(text: str) -> str:
    """A cell without `%%inplace`, our other magics, and what only a kernel can do: commands of the system."""
    if _SYSTEM.match(text) and text.lstrip().startswith("%%"):
        return ""
    lines = take_away(text.splitlines(keepends=True))
    return "".join("\n" if _OURS.match(line) or _SYSTEM.match(line) else line for line in lines)


def _run(cells: list[tuple[int, str]], folder: Path, timeout: float) -> dict[str, Any] | str:
    """What came of cells behind the fence, or why nothing did."""
    ended = Fenced().order(folder, "inplace.shells.notebook.play", {"cells": cells}, ANSWER, timeout)
    if isinstance(ended, str):
        return ended
    found: dict[str, Any] = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    return {**found, "refused": ended.refused}
