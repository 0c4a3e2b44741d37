"""Draws docs/img/architecture.svg from the package's own imports: rooms are folders, arrows are imports.

Run it after a folder or an import between folders was added; a test compares the arrows with the code.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "inplace"
TARGET = ROOT / "docs" / "img" / "architecture.svg"

# Where each room stands (left, top, width in pixels), and what it is.
ROOMS: dict[str, tuple[int, int, int, str]] = {
    "shells": (60, 24, 840, "read options, ask the one conductor, show"),
    "judge": (60, 138, 300, "what proves a fix: replay and compare"),
    "fixes": (60, 252, 300, "what to propose, as rules"),
    "render": (410, 252, 260, "every sentence, every picture"),
    "checks": (120, 366, 500, "one file per kind of finding"),
    "reading": (60, 480, 440, "questions that several checks ask of a trace"),
    "capture": (710, 138, 190, "the only part\nthat sees\nlive tensors"),
    "examples": (540, 480, 360, "worked examples, each with its live verdict"),
    "facts": (60, 594, 840, "a trace as plain values, its file, and what must hold in it"),
}
_TALLER = {"capture": 3.6}  # rooms of several floors
GROUND = "facts"  # nearly every room stands on it, so its arrows are not drawn
_HEIGHT, _WIDTH, _TALL = 66, 960, 690
_INK, _SOFT, _LINE, _PAPER, _WALL = "#1a1d24", "#5b6472", "#8b95a5", "#ffffff", "#eef2f8"


def arrows() -> Counter[tuple[str, str]]:
    """How many imports lead from one room to another."""
    found: Counter[tuple[str, str]] = Counter()
    for path in sorted(SOURCE.rglob("*.py")):
        room = path.relative_to(SOURCE).parts[0]
        for name in _imported(path):
            other = name.split(".")[1]
            if room in ROOMS and other in ROOMS and other != room:
                found[room, other] += 1
    return found


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("inplace."):
            yield str(node.module)


def drawn(text: str) -> set[tuple[str, str]]:
    """The arrows that a drawing has."""
    return {(one, two) for one, two in re.findall(r'<path data-from="(\w+)" data-to="(\w+)"', text)}


def drawing() -> str:
    """The picture as SVG."""
    lines = [_arrow(*pair, count) for pair, count in sorted(arrows().items())]
    rooms = [_room(name) for name in ROOMS]
    head = '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_TALL}" width="{_WIDTH}" height="{_TALL}" '
        'role="img" aria-label="The folders of the package from the shells down to the facts, and who imports whom" '
        'font-family="system-ui,sans-serif">'
        f'<defs>{head}<path d="M0 0 8 4 0 8z" fill="{_LINE}"/></marker></defs>'
        f'<rect width="{_WIDTH}" height="{_TALL}" rx="12" fill="{_PAPER}"/>{"".join(lines)}{"".join(rooms)}</svg>\n'
    )


def _room(name: str) -> str:
    left, top, width, about = ROOMS[name]
    folders = sorted(path.name for path in (SOURCE / name).iterdir() if path.is_dir() and path.name != "__pycache__")
    tall = _HEIGHT * _TALLER.get(name, 1)
    inside = "" if name in _TALLER or not folders else f" · {', '.join(folders)}"
    says = [*about.split("\n"), "", *folders] if name in _TALLER else [about]
    told = "".join(
        f'<text x="{left + 14}" y="{top + 48 + 18 * number}" font-size="13" fill="{_SOFT}">{escape(line)}</text>'
        for number, line in enumerate(says)
    )
    ground = f'<rect x="{left}" y="{top + _HEIGHT - 4}" width="{width}" height="4" fill="{_INK}"/>'
    return (
        f'<rect x="{left}" y="{top}" width="{width}" height="{tall:.0f}" rx="6" fill="{_WALL}" stroke="{_LINE}"/>'
        f"{ground if name == GROUND else ''}"
        f'<text x="{left + 14}" y="{top + 26}" font-size="16" font-weight="650" fill="{_INK}">{name}/'
        f'<tspan font-size="12" font-weight="400" fill="{_SOFT}">{escape(inside)}</tspan></text>'
        f"{told}"
    )


def _arrow(one: str, two: str, count: int) -> str:
    style = f'data-from="{one}" data-to="{two}" fill="none" stroke="{_LINE}"'
    if two == GROUND:
        return f"<path {style} />"  # named, not drawn
    left, top, width, _ = ROOMS[one]
    to_left, to_top, to_width, _ = ROOMS[two]
    order = list(ROOMS)
    # Arrows that leave a room, and those that reach one, stand side by side; straight where the rooms allow it.
    x1 = left + (0.12 + 0.76 * (to_left + to_width / 2) / _WIDTH) * width
    x2 = min(max(x1 + 9 * (order.index(one) - order.index(two) / 2), to_left + 16), to_left + to_width - 16)
    y1, y2 = top + _HEIGHT * _TALLER.get(one, 1), to_top - 2
    if to_top == top:  # beside it
        level = top + _HEIGHT / 2
        return f'<path {style} d="M{left + width} {level:.0f} H{to_left - 2}" marker-end="url(#tip)"/>'
    bend = (y2 - y1) * 0.45
    thick = 1 + min(2.2, count / 12)
    faint = "" if y2 - y1 < _HEIGHT else ' stroke-opacity=".45"'  # it passes other rooms on its way
    curve = f"M{x1:.0f} {y1} C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2}"
    return f'<path {style} d="{curve}" stroke-width="{thick:.1f}"{faint} marker-end="url(#tip)"/>'


if __name__ == "__main__":
    TARGET.write_text(drawing(), encoding="utf-8")
    print(TARGET)
