"""Where the boxes of a directed diagram go: by Graphviz where `pygraphviz` is installed, else in plain layers.

Positions are pixels from the top left, y downwards; a box is placed by its centre. Lines are chains of cubic Bezier
curves: a first point, then three points for each curve.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]
Size = tuple[float, float]

_GAP_ACROSS, _GAP_DOWN = 26.0, 34.0
_EDGE = 10.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line to be routed from `tail` to `head`; `beside` asks for the two boxes to be next to each other."""

    tail: int
    head: int
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything goes: centres by box, points by line in the order given; `note` says what was done without."""

    width: float
    height: float
    centres: Mapping[int, Point]
    routes: tuple[tuple[Point, ...], ...]
    note: str


def planned(sizes: Mapping[int, Size], lines: Sequence[Line]) -> Plan:
    """Place boxes of some sizes so that lines run from top to bottom."""
    if not sizes:
        return Plan(0, 0, {}, (), "")
    try:
        import pygraphviz
    except ImportError:
        return layered(sizes, lines)
    return _by_graphviz(pygraphviz, sizes, lines)


# ---------------------------------------------------------------- Graphviz


def _by_graphviz(pygraphviz: Any, sizes: Mapping[int, Size], lines: Sequence[Line]) -> Plan:
    graph = pygraphviz.AGraph(directed=True, strict=False)
    graph.graph_attr.update(rankdir="TB", nodesep=_GAP_ACROSS / 72, ranksep=_GAP_DOWN / 72, splines="true")
    graph.node_attr.update(shape="box", fixedsize="true", label="")
    graph.edge_attr.update(dir="none")
    for box, (width, height) in sizes.items():
        graph.add_node(str(box), width=f"{width / 72:.4f}", height=f"{height / 72:.4f}")
    for number, line in enumerate(lines):
        graph.add_edge(str(line.tail), str(line.head), key=str(number), constraint="false" if line.beside else "true")
        if line.beside:
            graph.add_subgraph([str(line.tail), str(line.head)], rank="same")
    graph.layout(prog="dot")
    _, _, width, height = (float(part) for part in graph.graph_attr["bb"].split(","))

    def placed(text: str) -> Point:
        across, up = text.split(",")
        return round(float(across) + _EDGE, 1), round(height - float(up) + _EDGE, 1)

    centres = {box: placed(graph.get_node(str(box)).attr["pos"]) for box in sizes}
    routes = tuple(
        tuple(
            placed(point) for point in graph.get_edge(str(line.tail), str(line.head), str(number)).attr["pos"].split()
        )
        for number, line in enumerate(lines)
    )
    return Plan(width + 2 * _EDGE, height + 2 * _EDGE, centres, routes, "")


# ---------------------------------------------------------------- without Graphviz


def layered(sizes: Mapping[int, Size], lines: Sequence[Line]) -> Plan:
    """Boxes in rows by their longest way from the top, ordered by where their lines come from; lines are straight."""
    rows = _rows(sizes, lines)
    centres, width, height = _placed(rows, sizes)
    routes = tuple(_straight(line, centres, sizes) for line in lines)
    note = "Laid out without Graphviz: the pygraphviz package is missing."
    return Plan(width, height, centres, routes, note)


def _rows(sizes: Mapping[int, Size], lines: Iterable[Line]) -> list[list[int]]:
    above: defaultdict[int, list[int]] = defaultdict(list)
    beside = {line.tail: line.head for line in lines if line.beside}
    for line in lines:
        if not line.beside and line.tail != line.head:
            above[line.head].append(line.tail)
    depth = _depths(sizes, above)
    depth.update({tail: depth[head] for tail, head in beside.items()})
    rows: list[list[int]] = [[] for _ in range(max(depth.values()) + 1)]
    place: dict[int, float] = {}
    for box in sorted(sizes, key=lambda box: depth[box]):
        rows[depth[box]].append(box)
    for row in rows:
        row.sort(key=lambda box: _middle([place[one] for one in above[box] if one in place]))
        place.update({box: number / max(1, len(row)) for number, box in enumerate(row)})
    return rows


def _depths(sizes: Mapping[int, Size], above: Mapping[int, list[int]]) -> dict[int, int]:
    """The longest way down to each box; boxes of a ring, which autograd never makes, keep the depth found first."""
    depth = dict.fromkeys(sizes, 0)
    for _ in range(len(sizes)):
        moved = False
        for box in sizes:
            wanted = max((depth[one] + 1 for one in above.get(box, ()) if one in depth), default=0)
            if depth[box] < wanted < len(sizes):
                depth[box], moved = wanted, True
        if not moved:
            break
    return depth


def _middle(places: list[float]) -> float:
    return sum(places) / len(places) if places else 0.5


def _placed(rows: list[list[int]], sizes: Mapping[int, Size]) -> tuple[dict[int, Point], float, float]:
    widths = [sum(sizes[box][0] for box in row) + _GAP_ACROSS * max(0, len(row) - 1) for row in rows]
    width, top, centres = max(widths), _EDGE, dict[int, Point]()
    for row, across in zip(rows, widths, strict=True):
        tallest = max((sizes[box][1] for box in row), default=0.0)
        left = _EDGE + (width - across) / 2
        for box in row:
            centres[box] = (round(left + sizes[box][0] / 2, 1), round(top + tallest / 2, 1))
            left += sizes[box][0] + _GAP_ACROSS
        top += tallest + _GAP_DOWN
    return centres, width + 2 * _EDGE, top - _GAP_DOWN + _EDGE


def _straight(line: Line, centres: Mapping[int, Point], sizes: Mapping[int, Size]) -> tuple[Point, ...]:
    (x0, y0), (x1, y1) = centres[line.tail], centres[line.head]
    if line.beside:
        side = 1 if x1 >= x0 else -1
        x0, x1 = x0 + side * sizes[line.tail][0] / 2, x1 - side * sizes[line.head][0] / 2
        return (x0, y0), ((2 * x0 + x1) / 3, y0), ((x0 + 2 * x1) / 3, y1), (x1, y1)
    y0, y1 = y0 + sizes[line.tail][1] / 2, y1 - sizes[line.head][1] / 2
    return (x0, y0), (x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2), (x1, y1)
