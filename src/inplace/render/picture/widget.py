"""Diagram -> anywidget: three synced traits, nothing computed."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

from inplace.render.picture.model import Diagram
from inplace.render.picture.script import script

_STYLE = Path(__file__).parents[1] / "js" / "widget.css"


class DiagramWidget(anywidget.AnyWidget):  # type: ignore[misc]  # anywidget has no types
    """The interactive picture of one run, in a notebook.

    Attributes:
        diagram: the Diagram as JSON values.
        selected: the step of the chosen call, None before one is chosen; set it to choose one.
        fresh: whether no front end has shown it yet; the first one brings it into sight where the code raised.
    """

    _esm = script()
    _css = _STYLE
    diagram = traitlets.Dict().tag(sync=True)
    selected = traitlets.Int(None, allow_none=True).tag(sync=True)
    fresh = traitlets.Bool(True).tag(sync=True)

    @classmethod
    def of(cls, diagram: Diagram) -> DiagramWidget:
        """The widget that shows a diagram."""
        return cls(diagram=diagram.to_json())
