"""Diagram -> anywidget: three synced traits, nothing computed."""

from __future__ import annotations

from typing import ClassVar

import anywidget
import traitlets

from inplace.render.picture.model import Diagram
from inplace.render.picture.script import script, style


class DiagramWidget(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget has no types
    """The interactive picture of one run, in a notebook.

    Attributes:
        diagram: the Diagram as JSON values.
        selected: the step of the chosen call, None before one is chosen; set it to choose one.
        fresh: whether no front end has shown it yet; the first one brings it into sight where the code raised.
    """

    _shown: ClassVar[dict[str, tuple[object, list[DiagramWidget]]]] = {}
    """The widgets of each cell of a notebook, with the run of it that made them."""

    _esm = script()
    _css = style()
    diagram = traitlets.Dict().tag(sync=True)
    selected = traitlets.Int(None, allow_none=True).tag(sync=True)
    fresh = traitlets.Bool(True).tag(sync=True)

    @classmethod
    def of(cls, diagram: Diagram, cell: str = "", run: object = None) -> DiagramWidget:
        """The widget that shows a diagram.

        Args:
            diagram: what it shows.
            cell: the notebook cell below which it is shown, if that is known. Widgets live until they are closed, so
                those of earlier runs of the cell, whose output has gone, are closed here.
            run: of the cell; any value that differs from run to run.
        """
        widget = cls(diagram=diagram.to_json())
        if cell:
            before, widgets = cls._shown.get(cell, (run, []))
            if before != run:
                for one in widgets:
                    one.close()
                widgets = []
            cls._shown[cell] = run, [*widgets, widget]
        return widget
