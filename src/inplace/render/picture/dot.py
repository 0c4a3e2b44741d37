"""Diagram -> the Graphviz source of its autograd graph."""

from __future__ import annotations

import graphviz

from inplace.render.picture.model import Diagram


def to_dot(diagram: Diagram) -> str:
    """The Graphviz source of the graph from leaf to loss, with what each node saved, and the broken save marked."""
    pane = diagram.autograd
    look = {"shape": "box", "fontname": "sans-serif", "fontsize": "11"}
    graph = graphviz.Digraph(comment=pane.note or None, node_attr=look)
    for box in pane.boxes:
        keeps = [("✗ " if keep.stale or keep.silent else "") + keep.text for keep in box.keeps]
        label = "\n".join(part for part in (box.title, box.subtitle, *keeps) if part)
        broken = box.kind == "culprit" or any(keep.stale or keep.silent for keep in box.keeps)
        style = {"color": "#b8380b", "penwidth": "2"} if broken else {}
        shape = {"shape": "oval"} if box.kind == "leaf" else {}
        graph.node(str(box.id), graphviz.escape(label), **shape, **style)
    for link in pane.links:
        broken_link = {"color": "#b8380b", "style": "dashed"} if link.kind == "overwrite" else {}
        graph.edge(str(link.tail), str(link.head), **broken_link)
    return str(graph.source)
