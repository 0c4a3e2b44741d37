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
    "shells": (260, 24, 440, "read options, ask the conductor, show"),
    "judge": (330, 138, 300, "what proves a fix: replay and compare"),
    "fixes": (40, 252, 260, "what to propose"),
    "render": (380, 252, 540, "every sentence, every picture"),
    "checks": (160, 366, 420, "one file per kind of finding"),
    "reading": (160, 480, 300, "questions several checks ask of a trace"),
    "capture": (540, 480, 380, "the only part that sees live tensors"),
    "examples": (40, 600, 250, "worked examples, live verdicts"),
    "facts": (350, 600, 570, "a trace as plain values, and its file"),
}
GROUND = "facts"  # nearly every room stands on it, so its arrows are not drawn
_HEIGHT, _WIDTH, _TALL = 66, 960, 700
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
    left, top, width, says = ROOMS[name]
    folders = sorted(path.name for path in (SOURCE / name).iterdir() if path.is_dir() and path.name != "__pycache__")
    inside = f" · {', '.join(folders)}" if folders else ""
    ground = f'<rect x="{left}" y="{top + _HEIGHT - 4}" width="{width}" height="4" fill="{_INK}"/>'
    return (
        f'<rect x="{left}" y="{top}" width="{width}" height="{_HEIGHT}" rx="6" fill="{_WALL}" stroke="{_LINE}"/>'
        f"{ground if name == GROUND else ''}"
        f'<text x="{left + 14}" y="{top + 26}" font-size="16" font-weight="650" fill="{_INK}">{name}/'
        f'<tspan font-size="12" font-weight="400" fill="{_SOFT}">{escape(inside)}</tspan></text>'
        f'<text x="{left + 14}" y="{top + 48}" font-size="13" fill="{_SOFT}">{escape(says)}</text>'
    )


def _arrow(one: str, two: str, count: int) -> str:
    style = f'data-from="{one}" data-to="{two}" fill="none" stroke="{_LINE}"'
    if two == GROUND:
        return f"<path {style} />"  # named, not drawn
    left, top, width, _ = ROOMS[one]
    to_left, to_top, to_width, _ = ROOMS[two]
    share = 0.15 + 0.7 * list(ROOMS).index(two) / len(ROOMS)  # so that arrows of one room leave side by side
    land = 0.15 + 0.7 * list(ROOMS).index(one) / len(ROOMS)
    x1, y1 = left + share * width, top + _HEIGHT
    x2, y2 = to_left + land * to_width, to_top - 2
    bend = (y2 - y1) * 0.45
    thick = 1 + min(2.2, count / 12)
    curve = f"M{x1:.0f} {y1} C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2}"
    return f'<path {style} d="{curve}" stroke-width="{thick:.1f}" marker-end="url(#tip)"/>'


if __name__ == "__main__":
    TARGET.write_text(drawing(), encoding="utf-8")
    print(TARGET)
