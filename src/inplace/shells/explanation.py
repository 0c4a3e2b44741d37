"""The one conductor: has a trace analysed, proved and drawn, each once, and gives every form of what was found."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from inplace.checks.report import Report
from inplace.facts.progress import Tell, silent
from inplace.fixes.diagnose import analyze, analyze_run
from inplace.shells.environment import WIDGET_VIEW, has_kernel, in_marimo, is_static, running_cell, running_shell

if TYPE_CHECKING:
    from typing_extensions import Self

    from inplace.facts.model import Trace
    from inplace.judge.judge import Start
    from inplace.render.picture.diagram import Diagram
    from inplace.render.picture.model import Autograd

ANALYSIS = 0.5
"""The part of a long look that the analysis takes, where a picture is drawn after it."""


class Explanation(Report):
    """A report that shows itself: as text in a terminal, as a picture in a notebook."""

    @classmethod
    def of(cls, trace: Trace, tell: Tell = silent) -> Self:
        """What a trace shows; `tell` hears how far the analysis is."""
        return cls._telling(analyze(trace, tell))

    @classmethod
    def of_run(cls, session: Trace, alone: Trace, tell: Tell = silent) -> Self:
        """What a run of a cell shows behind the runs before it in its session."""
        return cls._telling(analyze_run(session, alone, tell))

    def proved(self, start: Start, tell: Tell = silent) -> Self:
        """The same with what came of replaying the code from `start` with each fix; `tell` hears how far that is."""
        from inplace.judge.judge import prove

        return self._telling(prove(self, start, tell=tell))

    @classmethod
    def _telling(cls, report: Report) -> Self:
        return cls(report.index, report.findings, report.standing)

    def diagram(self, tell: Tell = silent) -> Diagram:
        """What the pictures show, computed once; `tell` hears how far that is."""
        from inplace.render.picture.diagram import diagram

        found: Diagram | None = vars(self).get("_diagram")
        if found is None:
            found = vars(self)["_diagram"] = diagram(self, tell)
        return found

    # ------------------------------------------------------------ forms

    def __str__(self) -> str:
        from inplace.render.words.text import to_text

        return to_text(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, Any]:
        return {"text/plain": str(self), **self.still(), **self.live()}

    def _display_(self) -> Any:
        """What marimo shows."""
        return in_marimo(self.widget())

    def still(self) -> dict[str, Any]:
        """What makes a front end show the still picture."""
        return {"image/svg+xml": self.to_svg()}

    def live(self) -> dict[str, Any]:
        """What makes a front end show the widget; empty where no kernel keeps one alive, or INPLACE_STATIC is set."""
        if is_static() or not has_kernel(running_shell()):
            return {}
        found = self.widget()._repr_mimebundle_()
        data = found[0] if isinstance(found, tuple) else found  # with or without metadata
        return {kind: value for kind, value in (data or {}).items() if kind == WIDGET_VIEW}

    def widget(self) -> Any:
        """The interactive widget, for notebooks."""
        from inplace.render.picture.diagram import more_nodes
        from inplace.render.picture.widget import DiagramWidget

        kept = weakref.ref(self)  # a widget lives until it is closed, and a recording is large

        def more(most: int) -> Autograd | None:
            return None if (report := kept()) is None else more_nodes(report, most)

        return DiagramWidget.of(self.diagram(), *running_cell(), more=more)

    def to_html(self) -> str:
        """One self-contained interactive page that needs no network."""
        from inplace.render.picture.diagram import more_nodes
        from inplace.render.picture.graph import MOST_NODES
        from inplace.render.picture.html import to_html

        still, text, whole = "", "", None
        with suppress(Exception):  # a fault in what stands in where no script runs costs that, not the page
            still, text = self.to_svg(), str(self)
        with suppress(Exception):
            whole = more_nodes(self, MOST_NODES) if self.diagram().autograd.hidden else None
        return to_html(self.diagram(), still, text, whole)

    def to_svg(self) -> str:
        """One self-contained picture."""
        from inplace.render.picture.svg import to_svg

        return to_svg(self, self.diagram())

    def to_dot(self) -> str:
        """The Graphviz source of the autograd graph."""
        from inplace.render.picture.dot import to_dot

        return to_dot(self.diagram())

    def to_json(self) -> dict[str, Any]:
        """The public JSON value: see docs/json-contract.md."""
        from inplace.render.words.contract import diagnoses

        return diagnoses(self)

    def gradients(self) -> str:
        """What happened to the gradient of each parameter before each step, and on which lines."""
        from inplace.render.words.ledger import ledger_text

        return ledger_text(self.ledger, self.trace)

    def advice(self) -> str:
        """Which calls could have been in place, and what was kept for backward, with the bytes of each.

        Of a line that goes backward many times only the first backward is looked at, unless the recording was thorough;
        what was not looked at is not advised.
        """
        from inplace.checks.thrift import advise
        from inplace.render.words.thrift import thrift_text

        return thrift_text(advise(self.index))
