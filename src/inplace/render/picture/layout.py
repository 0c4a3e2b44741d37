"""Where the boxes of a directed diagram go: Graphviz places them, which the wheel of `pygraphviz` brings along.

Positions are pixels from the top left, y downwards; a box is placed by its centre. Lines are chains of cubic Bezier
curves: a first point, then three points for each curve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Size = tuple[float, float]

MISSING = "The graph is not drawn: the pygraphviz package, which lays it out, can't be imported."
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
    """Where everything goes: centres by box, points by line in the order given."""

    width: float
    height: float
    centres: Mapping[int, Point]
    routes: tuple[tuple[Point, ...], ...]


def planned(sizes: Mapping[int, Size], lines: Sequence[Line]) -> Plan:
    """Place boxes of some sizes so that lines run from top to bottom.

    Raises:
        ImportError: if there are boxes, and pygraphviz can't be imported.
    """
    if not sizes:
        return Plan(0, 0, {}, ())
    import pygraphviz

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
    return Plan(width + 2 * _EDGE, height + 2 * _EDGE, centres, routes)
