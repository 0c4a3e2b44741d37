"""`%inplace exercise`, `hint` and `answer`: exercises that are checked by running the code, and a record of them.

Code is run in a process of its own, so that neither an endless loop nor a wrong guess of ours touches the session. What
was tried is kept in `exercises.json` in the folder of the notebook; `inplace tour` makes such a folder.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from inplace.examples.exercises import EXERCISES, Exercise
from inplace.shells.notebook import outcome
from inplace.shells.notebook.outcome import Outcome

RECORD = "exercises.json"
_SECONDS = 120
_MARK = "# exercise "
_LIST = "type %inplace exercise P1 for the first, %inplace hint P1 for a hint, and %inplace answer P1 ... to answer."


@dataclass(frozen=True, slots=True)
class Told:
    """What to display, by type, and the code for the next cell, if any."""

    shown: dict[str, str]
    code: str | None = None


def listed(folder: Path) -> Told:
    """Every exercise with what came of it so far."""
    record = _read(folder)
    lines = [
        f"{_state(record.get(one.id, {}))} {one.id} ({one.task}, notebook {one.chapter}): {one.question}"
        for one in EXERCISES
    ]
    done = sum(bool(record.get(one.id, {}).get("done")) for one in EXERCISES)
    return _say(f"{done} of {len(EXERCISES)} exercises are done; {_LIST}\n" + "\n".join(lines))


def opened(wanted: str) -> Told:
    """The question, with the code: to read for one to predict, in the next cell for the others."""
    one = _of(wanted)
    if one is None:
        return _missing(wanted)
    how = {
        "predict": f"Decide before it is run, then type: %inplace answer {one.id} YOUR ANSWER",
        "find": f"Read it, then type: %inplace answer {one.id} LINE",
        "mend": f"Change the cell below and run it, then type: %inplace answer {one.id}",
    }[one.task]
    if one.task == "mend":
        return _say(f"{one.id}: {one.question}\n{how}", code=f"{_MARK}{one.id}\n{one.code.rstrip()}")
    numbered = "\n".join(f"{number:3} | {line}" for number, line in enumerate(one.code.splitlines(), 1))
    return _say(f"{one.id}: {one.question}\n{how}\n\n{numbered}")


def hinted(wanted: str, folder: Path) -> Told:
    """The next hint; after the last one, the answer, folded away where the front end can."""
    one = _of(wanted)
    if one is None:
        return _missing(wanted)
    entry = _read(folder).get(one.id, {})
    seen = int(entry.get("hints", 0))
    _write(folder, one.id, {**entry, "hints": seen + 1})
    if seen < len(one.hints):
        return _say(f"{one.id}, hint {seen + 1} of {len(one.hints)}: {one.hints[seen]}")
    return _folded(f"inplace: {one.id}: there are no more hints.", one)


def answered(asked: str, cells: list[str], folder: Path) -> Told:
    """Whether an answer is right, found by running the code.

    Args:
        asked: the id and, for one to predict or find, the answer.
        cells: the texts of the cells that were run, in order; the last with the mark of an exercise is its mending.
        folder: where the record is kept.
    """
    wanted, _, given = asked.partition(" ")
    one = _of(wanted)
    if one is None:
        return _missing(wanted)
    if one.task == "mend":
        cell = next((text for text in reversed(cells) if f"{_MARK}{one.id}" in text.splitlines()), None)
        if cell is None:
            return _say(f"run the cell that begins with '{_MARK}{one.id}' first: %inplace exercise {one.id} gives it.")
        wrong = _why_not_mended(one, cell)
    elif not given.strip():
        return _say(f"put your answer behind it: %inplace answer {one.id} ...")
    else:
        wrong = _why_not(one, given.strip())
    entry = _read(folder).get(one.id, {})
    kept = {**entry, "answers": int(entry.get("answers", 0)) + 1, "done": bool(entry.get("done")) or not wrong}
    _write(folder, one.id, kept)
    if wrong:
        return _say(f"{one.id}: not yet. {wrong} %inplace hint {one.id} helps.")
    code = None if one.task == "mend" else f"%%inplace\n{one.code.rstrip()}"
    told = _folded(f"inplace: {one.id}: right.", one)
    return Told(told.shown, code)


# ---------------------------------------------------------------- what is right


def _why_not(one: Exercise, given: str) -> str:
    """Why an answer to one to predict or to find is not right; empty where it is."""
    outcome = _outcome(one.code)
    if one.task == "find":
        is_right = given.removeprefix("line ") in outcome.lines
        return "" if is_right else f"Line {given} is not what the recorder blames."
    return "" if _same(given, outcome.answer) else f"It isn't {given}."


def _same(given: str, outcome: str) -> bool:
    try:
        return float(given) == float(outcome)
    except ValueError:
        return given.strip("'\"").lower() == outcome.lower()


def _why_not_mended(one: Exercise, cell: str) -> str:
    """Why a change is not right; empty where it is.

    It is not where it raises, where something is found in it, where a value or gradient is not the solution's, or where
    the gradient was put there by hand.
    """
    code = "\n".join(line for line in cell.splitlines() if not line.startswith(("%", _MARK))) + "\n"
    own = _outcome(code, one.watched)
    if own.error:
        return f"It raises {own.error}."
    if own.found:
        return f"The recorder still finds {own.found}"
    right = _outcome(one.solution, one.watched)
    for name, value, expected in zip(one.watched, own.values, right.values, strict=True):
        if value != expected:
            return f"{name} is {value}, and that is not what it should be."
    written = _gradient_by_hand(code)
    return f"{written} writes a gradient by hand: backward is to make it." if written else ""


def _gradient_by_hand(code: str) -> str:
    """The statement or call of code that gives a tensor another gradient than backward does; empty if there is none."""
    for node in ast.walk(ast.parse(code)):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.endswith("_"):
            targets = [node.func.value] if node.func.attr != "zero_" else []
        value = getattr(node, "value", None)
        is_cleared = isinstance(value, ast.Constant) and value.value is None
        if not is_cleared and any(_is_gradient(target) for target in targets):
            return ast.unparse(node)
    return ""


def _is_gradient(target: ast.AST | None) -> bool:
    """Whether it is `x.grad`, or a part of it."""
    while isinstance(target, ast.Subscript):
        target = target.value
    return isinstance(target, ast.Attribute) and target.attr == "grad"


def _outcome(code: str, watched: tuple[str, ...] = ()) -> Outcome:
    """What running code shows, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="inplace-") as folder:
        done = subprocess.run(  # noqa: S603  # ours, and what the reader has just run
            [sys.executable, "-m", outcome.__name__],
            input=json.dumps([code, watched]),
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS,
            cwd=folder,
        )
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


# ---------------------------------------------------------------- what is told, and kept


def _of(wanted: str) -> Exercise | None:
    return next((one for one in EXERCISES if one.id.lower() == wanted.strip().lower()), None)


def _missing(wanted: str) -> Told:
    ids = ", ".join(one.id for one in EXERCISES)
    return _say(f"there is no exercise {wanted!r}: they are {ids}.")


def _say(text: str, *, code: str | None = None) -> Told:
    return Told({"text/plain": f"inplace: {text}"}, code)


def _folded(text: str, one: Exercise) -> Told:
    why = f"<details><summary>Why</summary><p>{escape(one.why)} See notebook {one.chapter}.</p></details>"
    return Told({"text/plain": f"{text} {one.why} See notebook {one.chapter}.", "text/html": f"{escape(text)} {why}"})


def _state(entry: dict[str, Any]) -> str:
    return "[x]" if entry.get("done") else "[-]" if entry else "[ ]"


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}


def _write(folder: Path, id_: str, entry: dict[str, Any]) -> None:
    """Keep what came of an exercise; a folder that can't be written to keeps nothing, and that is no fault."""
    try:
        (folder / RECORD).write_text(json.dumps({**_read(folder), id_: entry}, indent=2) + "\n", encoding="utf-8")
    except OSError:
        return
