"""The autograd pane: which nodes are drawn, what is written on them, and which saved tensors were overwritten."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import replace

from inplace.checks.finding import Broken
from inplace.checks.report import Report
from inplace.facts.model import GraphWalk, Node, NodeId, SavedTensor, SavedUse, TensorId, TensorState
from inplace.render.picture.findings import About
from inplace.render.picture.layout import MISSING, Line, Size, planned
from inplace.render.picture.model import Autograd, Keep, NodeBox, NodeLink
from inplace.render.picture.references import ReferencesPane
from inplace.render.picture.source import Texts
from inplace.render.words.parts import where

NODES = 150  # nodes drawn at most where nobody asks for more
MOST_NODES = 1_200  # nodes drawn at most for who asks for more
_NEAR = 48  # nodes drawn around a finding where its graph is larger than that; more where more are asked for
_KEEPS = 4  # saved tensors written on a node at most
_TITLE, _TEXT = 34, 40  # characters
_CULPRIT = -1_000_000  # ids of culprit boxes count down from here

_BACKWARD = re.compile(r"Backward\d*$")


class Graph:
    """The part of a trace's autograd graph that the picture shows."""

    def __init__(
        self, report: Report, abouts: list[About], memory: ReferencesPane, texts: Texts, most: int = NODES
    ) -> None:
        self._most, self._near = most, _NEAR + most - NODES
        self._trace, self._findings, self._abouts = report.trace, report.findings, abouts
        self._memory, self._texts = memory, texts
        self._next: defaultdict[NodeId, list[NodeId]] = defaultdict(list)
        for node in report.trace.nodes:
            for edge in node.edges:
                self._next[edge.node].append(node.id)
        self._uses: dict[tuple[NodeId, int], SavedUse] = {}
        self._kept = self._choose()

    # ------------------------------------------------------------ what is drawn

    def _choose(self) -> dict[NodeId, None]:
        """The graphs of the findings' nodes, else the last graph that a backward walked, else the last one at all."""
        kept: dict[NodeId, None] = {}
        told = [node for about in self._abouts for node in about.nodes if node in self._trace.node_by_id]
        for node in dict.fromkeys(told):
            walk = self._walk_of(node)
            reached = walk.reached if walk is not None and len(walk.reached) <= self._near else self._around(node)
            if len(kept) + len(reached) <= self._most:
                kept.update(dict.fromkeys(reached))
            kept[node] = None
            self._note_uses(walk)
        if not kept and self._trace.walks:
            walks = [walk for walk in self._trace.walks if walk.is_backward] or list(self._trace.walks)
            kept.update(dict.fromkeys(walks[-1].reached[: self._near]))
            self._note_uses(walks[-1])
        return {node: None for node in list(kept)[: self._most] if node in self._trace.node_by_id}

    def _walk_of(self, node: NodeId) -> GraphWalk | None:
        """The walk before the backward that met a node last, else the last walk that met it."""
        met = [walk for walk in self._trace.walks if node in walk.reached]
        backward = [walk for walk in met if walk.is_backward]
        return backward[-1] if backward else (met[-1] if met else None)

    def _note_uses(self, walk: GraphWalk | None) -> None:
        for use in walk.uses if walk is not None else ():
            self._uses[(use.node, use.saved)] = use

    def _around(self, node: NodeId) -> list[NodeId]:
        """The nodes nearest to one, in both directions."""
        found: dict[NodeId, None] = {node: None}
        queue = deque([node])
        while queue and len(found) < self._near:
            here = queue.popleft()
            edges = [edge.node for edge in self._trace.node_by_id[here].edges if edge.node in self._trace.node_by_id]
            for near in (*edges, *self._next[here]):
                if near not in found:
                    found[near] = None
                    queue.append(near)
        return list(found)

    # ------------------------------------------------------------ what is written

    def _name_of(self, saved: SavedTensor, step: int | None) -> str:
        """What the user calls a saved tensor, at best the name its maker's line gave it; empty where there is none."""
        names = self._memory.names.get(saved.tensor, []) if saved.tensor is not None else []
        given = self._texts.assigned(self._trace.calls[step].stack) if step is not None else ""
        if given and given in names:
            return given
        if not names and saved.storage is not None:
            over = [box for box in self._memory.names if self._storage_of(box) == saved.storage]
            names = [name for tensor in over for name in self._memory.names[tensor]]
        return names[0] if names else ""

    def _storage_of(self, tensor: TensorId) -> int | None:
        state: TensorState | None = self._memory.last(tensor)
        return state.storage if state is not None else None

    def _keeps(self, node: Node, flagged: dict[tuple[NodeId, str], Broken]) -> tuple[Keep, ...]:
        found = []
        for number, saved in enumerate(node.saved):
            use = self._uses.get((node.id, number))
            broken = flagged.get((node.id, saved.name))
            told = broken.versions if broken is not None else (None, None)
            before, now = (use.version_saved, use.version) if use is not None else told
            silent = broken is not None and broken.how == "silent"
            moved = before is not None and now is not None and before != now
            stale = not silent and (broken is not None or moved)
            name = self._name_of(saved, node.step)
            own = f"{saved.name} = " if name and name != saved.name else ""
            text = own + _end(name, _TITLE - len(own)) if own else _cut(saved.name, _TITLE)
            tensor = -1 if saved.tensor is None else saved.tensor
            found.append(Keep(saved.name, tensor, text, before, now, stale, silent))
        found.sort(key=lambda keep: not (keep.stale or keep.silent))
        return tuple(found[:_KEEPS])

    def _box(self, node: Node, flagged: dict[tuple[NodeId, str], Broken]) -> NodeBox:
        finding = next((number for number, one in enumerate(self._abouts) if node.id in one.nodes), -1)
        if node.leaf is not None:
            return self._leaf_box(node, finding)
        title = _cut(_BACKWARD.sub("", node.name) or node.name, _TITLE)
        kind = "rebase" if node.name == "CopySlices" else "custom" if node.custom else "node"
        step = -1 if node.step is None else node.step
        box = NodeBox(
            node.id, "node", title, self._line(node.step), step, -1, finding, self._keeps(node, flagged), 0, 0, 0, 0
        )
        return replace(box, kind=kind)  # type: ignore[arg-type]

    def _leaf_box(self, node: Node, finding: int) -> NodeBox:
        leaf = node.leaf
        assert leaf is not None
        names = self._memory.names.get(leaf, [])
        state = self._memory.last(leaf)
        shape = ", ".join(map(str, state.layout.shape)) if state is not None else ""
        title = _end(names[0], _TITLE) if names else "unnamed leaf"
        detail = f"leaf · [{shape}]" if shape else "leaf · scalar"
        return NodeBox(node.id, "leaf", title, detail, -1, leaf, finding, (), 0, 0, 0, 0)

    def _line(self, step: int | None) -> str:
        if step is None or not 0 <= step < len(self._trace.calls):
            return ""
        site = self._texts.innermost(self._trace.calls[step].stack)
        return "" if site is None else _cut(f"{site.position.line}: {self._texts.piece(site)}", _TEXT)

    # ------------------------------------------------------------ the pane

    def pane(self) -> Autograd:
        """The boxes and lines, laid out."""
        told = [broken for finding in self._findings if (broken := finding.broken()) is not None]
        flagged = {(one.node, one.saved): one for one in told if one.node in self._kept}
        boxes = {node: self._box(self._trace.node_by_id[node], flagged) for node in self._kept}
        links = [
            (Line(edge.node, node), "flow")
            for node in self._kept
            for edge in self._trace.node_by_id[node].edges
            if edge.node in self._kept
        ]
        for culprit, line in self._culprits():
            boxes[NodeId(culprit.id)] = culprit
            links.append((line, "overwrite"))
        return self._laid_out(boxes, links)

    def _culprits(self) -> Iterable[tuple[NodeBox, Line]]:
        for number, (finding, about) in enumerate(zip(self._findings, self._abouts, strict=True)):
            node, broken = next((node for node in about.nodes if node in self._kept), None), finding.broken()
            if node is None or broken is None or not finding.culprits:
                continue
            place = finding.culprits[0]
            title = _cut(place.code.splitlines()[0] if place.code else place.label, _TITLE)
            step = -1 if place.step is None else place.step
            verb = "changed it unseen" if broken.how == "silent" else "overwrote it"
            box = NodeBox(
                _CULPRIT - number,
                "culprit",
                title,
                f"{where(place, self._trace)} {verb}",
                step,
                -1,
                number,
                (),
                0,
                0,
                0,
                0,
            )
            yield box, Line(box.id, node, beside=True)

    def _laid_out(self, boxes: dict[NodeId, NodeBox], links: list[tuple[Line, str]]) -> Autograd:
        sizes: dict[int, Size] = {number: size_of(box) for number, box in boxes.items()}
        total = len(self._trace.nodes)
        try:
            plan = planned(sizes, [line for line, _ in links])
        except ImportError:
            return Autograd(0, 0, (), (), total, 0, MISSING)
        placed = []
        for number, box in boxes.items():
            (x, y), (w, h) = plan.centres[number], sizes[number]
            placed.append(replace(box, x=x, y=y, w=w, h=h))
        routed = tuple(
            NodeLink(line.tail, line.head, kind, route)  # type: ignore[arg-type]
            for (line, kind), route in zip(links, plan.routes, strict=True)
        )
        hidden = total - len(self._kept)
        return Autograd(round(plan.width, 1), round(plan.height, 1), tuple(placed), routed, total, hidden, "")


def size_of(box: NodeBox) -> Size:
    """Width and height of a box in pixels, from the characters written on it."""
    wide = max([len(box.title) * 8.2, len(box.subtitle) * 6.7, *(_keep_width(keep) for keep in box.keeps)])
    tall = 22 + (17 if box.subtitle else 0) + 20 * len(box.keeps) + (4 if box.keeps else 0) + 10
    return max(84.0, wide + 26), float(tall)


def _keep_width(keep: Keep) -> float:
    marks = 11 if keep.stale or keep.silent else 0
    return (len(keep.text) + marks) * 6.7 + 16


def _end(name: str, most: int) -> str:
    """A name cut at its beginning: what tells parameters apart stands at the end of their paths."""
    return name if len(name) <= most else "…" + name[len(name) - max(8, most - 1) :]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
