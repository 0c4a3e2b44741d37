"""Diagram -> anywidget: three synced traits, nothing computed.

NOTE [ Widgets of a long session ]
A kernel keeps each widget as long as its output may be there, since a page that is loaded again asks for it. A diagram
as Python's dictionaries has many times the size of its text, and that many times the size of the packed text. So only
those shown last are kept as they are.
"""

from __future__ import annotations

import json
import weakref
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

import anywidget
import traitlets

from inplace.render.picture.graph import MOST_NODES, NODES
from inplace.render.picture.model import Autograd, Diagram, as_json
from inplace.render.picture.script import loader, script, style

_WHOLE = 4  # widgets that are not packed


class _Packed(traitlets.Dict):  # type: ignore[type-arg]
    """A dictionary that may be kept packed: who reads it finds it as it was."""

    def get(self, obj: Any, cls: Any = None) -> Any:
        """The dictionary."""
        found: Any = super().get(obj, cls)
        return json.loads(zlib.decompress(found)) if isinstance(found, bytes) else found

    def pack(self, obj: Any) -> None:
        """Keep it packed, which is no change that anybody is told of."""
        found = obj._trait_values.get(self.name)
        if found and not isinstance(found, bytes):
            obj._trait_values[self.name] = zlib.compress(json.dumps(found).encode())


class DiagramWidget(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget has no types
    """The interactive picture of one run, in a notebook.

    Attributes:
        diagram: the Diagram as JSON values.
        selected: the step of the chosen call, None before one is chosen; set it to choose one.
        asked: how often a front end has asked for more nodes of the autograd graph; -1 where there are none to be had.
        fresh: whether no front end has shown it yet; the first one brings it into sight where the code raised.
    """

    _shown: ClassVar[dict[str, tuple[object, list[DiagramWidget]]]] = {}
    """The widgets of each cell of a notebook, with the run of it that made them."""
    _latest: ClassVar[deque[weakref.ref[DiagramWidget]]] = deque()
    """Those that are not packed; see NOTE [ Widgets of a long session ]."""

    _esm = loader()
    _css = style()
    _script = traitlets.Unicode(script()).tag(sync=True)
    diagram = _Packed().tag(sync=True)
    selected = traitlets.Int(None, allow_none=True).tag(sync=True)
    asked = traitlets.Int(0).tag(sync=True)
    fresh = traitlets.Bool(True).tag(sync=True)
    _more: Callable[[int], Autograd | None] | None = None

    @classmethod
    def of(
        cls, diagram: Diagram, cell: str = "", run: object = None, more: Callable[[int], Autograd | None] | None = None
    ) -> DiagramWidget:
        """The widget that shows a diagram.

        Args:
            diagram: what it shows.
            cell: the notebook cell below which it is shown, if that is known. Widgets live until they are closed, so
                those of earlier runs of the cell, whose output has gone, are closed here.
            run: of the cell; any value that differs from run to run.
            more: gives the autograd graph with up to so many nodes, where somebody asks for more than are drawn; None
                once what was recorded is no longer kept.
        """
        widget = cls(diagram=diagram.to_json())
        widget._more = more
        cls._latest.append(weakref.ref(widget))
        if len(cls._latest) > _WHOLE:
            oldest = cls._latest.popleft()()
            if oldest is not None:
                cls.diagram.pack(oldest)
        if cell:
            before, widgets = cls._shown.get(cell, (run, []))
            if before != run:
                for one in widgets:
                    one.close()
                widgets = []
            cls._shown[cell] = run, [*widgets, widget]
        return widget

    def close(self) -> None:
        """Close it, and empty it in the front ends before: JupyterLab keeps what was said to a closed widget."""
        if self.comm is not None:
            with self.hold_sync():
                self.diagram, self._script, self._css = {}, "", ""
            self.asked = min(self.asked, 0) - 1  # a model has the values before its last change too
        super().close()

    @traitlets.observe("asked")
    def _draw_more(self, _: object) -> None:
        """Put more of the autograd graph into the diagram: twice as many nodes each time somebody asks."""
        if self.asked <= 0:
            return
        graph = None if self._more is None else self._more(min(MOST_NODES, NODES * 2**self.asked))
        if graph is None:
            self.asked = -1
        else:
            self.diagram = {**self.diagram, "autograd": as_json(graph)}
