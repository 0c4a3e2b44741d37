"""The Python face: record a block, look at what was found, keep it in a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from inplace.checks.report import Report
from inplace.facts.errors import RecordingError
from inplace.facts.progress import Tell, silent
from inplace.fixes.diagnose import analyze as _analyze

if TYPE_CHECKING:
    from typing_extensions import Self

    from inplace.capture.record import Recorder
    from inplace.facts.model import Trace
    from inplace.facts.progress import Progress
    from inplace.judge.judge import Start
    from inplace.render.picture.diagram import Diagram

STATIC = "INPLACE_STATIC"
"""Environment variable: where it is set and not `0`, outputs compare equal from run to run: no widget is shown (each
has an id of its own), and a cell is called `this cell` instead of `In[3]` (tools such as nbval don't count cells).
"""

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


_LAST: list[Recording | None] = [None]


def is_static() -> bool:
    """Whether pictures are to be still ones only, the same from run to run."""
    return os.environ.get(STATIC, "0") not in {"", "0"}


class Explanation(Report):
    """A report that shows itself: as text in a terminal, as a picture in a notebook."""

    def __str__(self) -> str:
        from inplace.render.words.text import to_text

        return to_text(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, Any]:
        return {"text/plain": str(self), "image/svg+xml": self.to_svg(), **self.live()}

    def live(self) -> dict[str, Any]:
        """What makes a front end show the widget; empty where no kernel keeps one alive, or INPLACE_STATIC is set."""
        if is_static() or getattr(_shell(), "kernel", None) is None:
            return {}
        found = self.widget()._repr_mimebundle_()
        data = found[0] if isinstance(found, tuple) else found  # with or without metadata
        return {kind: value for kind, value in (data or {}).items() if kind == WIDGET_VIEW}

    def diagram(self, tell: Tell = silent) -> Diagram:
        """What the pictures show, computed once; `tell` hears how far that is."""
        from inplace.render.picture.diagram import diagram

        found: Diagram | None = vars(self).get("_diagram")
        if found is None:
            found = vars(self)["_diagram"] = diagram(self, tell)
        return found

    def widget(self) -> Any:
        """The interactive widget, for notebooks."""
        from inplace.render.picture.widget import DiagramWidget

        return DiagramWidget(diagram=self.diagram().to_json())

    def to_html(self) -> str:
        """One self-contained interactive page that needs no network."""
        from inplace.render.picture.html import to_html

        return to_html(self.diagram())

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


class Recording:
    """What was recorded of one run: its trace, the report on it, and the ways to look at both.

    It shows what its report shows. It holds no tensor.
    """

    def __init__(self, recorder: Recorder | None = None, trace: Trace | None = None) -> None:
        self._recorder, self._trace = recorder, trace
        self._report: Explanation | None = None
        self._fault: Exception | None = None

    @classmethod
    def of(cls, trace: Trace) -> Recording:
        """The recording that a trace tells of."""
        return cls(trace=trace)

    # ------------------------------------------------------------ recording

    def __enter__(self) -> Self:
        if self._recorder is None:
            raise RecordingError("this recording has ended: begin another with inplace.record()")
        try:
            self._recorder.start(sys._getframe(1))
        except RecordingError:
            raise
        except Exception as fault:  # of ours: the block runs as it would without us
            self._fault, self._recorder = fault, None
        except BaseException:  # an interrupt: there will be no block, and nobody to end the recording
            self._recorder.undo()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        recorder = self._recorder
        if recorder is None:
            return
        try:
            self._recorder = None
            self._trace = recorder.stop(error)
        except Exception as fault:  # of ours: the block must end as it would without us
            self._fault = fault
        finally:
            recorder.undo()
            if error is not None:
                recorder.strip(error)

    @property
    def trace(self) -> Trace:
        """Everything that was observed.

        Raises:
            RecordingError: while the recording is still going on, or where a fault of ours has ended it.
        """
        if self._trace is None:
            raise RecordingError(self._why_no_trace()) from self._fault
        return self._trace

    def _why_no_trace(self) -> str:
        if self._fault is None:
            return "this recording has not ended yet: look at it after the with block"
        told = " ".join(f"{type(self._fault).__name__}: {self._fault}".split())
        return f"there is no recording, because of a fault of ours ({told}): please report it"

    def look(self, progress: Progress | None = None) -> Explanation:
        """The report, with what its pictures show computed too, which takes long for a long recording."""
        if self._report is None:
            self._report = _explained(self.trace, progress.part(0, 0.5) if progress is not None else silent)
        self._report.diagram(progress.part(0.5, 1) if progress is not None else silent)
        return self._report

    @property
    def report(self) -> Explanation:
        """The findings, the worst first; computed once."""
        if self._report is None:
            self._report = _explained(self.trace)
        return self._report

    # ------------------------------------------------------------ looking

    def __str__(self) -> str:
        return self._why_no_trace() if self._trace is None else str(self.report)

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, Any]:
        return {"text/plain": str(self)} if self._trace is None else self.report._repr_mimebundle_()

    def widget(self) -> Any:
        """The interactive widget, for notebooks."""
        return self.look().widget()

    def to_html(self) -> str:
        """One self-contained interactive page that needs no network."""
        return self.look().to_html()

    def to_svg(self) -> str:
        """One self-contained picture."""
        return self.look().to_svg()

    def to_dot(self) -> str:
        """The Graphviz source of the autograd graph."""
        return self.report.to_dot()

    def to_json(self) -> dict[str, Any]:
        """The public JSON value: see docs/json-contract.md."""
        return self.report.to_json()

    def prove(self, start: Start) -> None:
        """Replay the code from `start` with the fixes of the report, and put into it what was proved."""
        from inplace.judge.judge import prove

        found = prove(self.report, start)
        self._report = Explanation(found.index, found.findings)

    def advice(self) -> str:
        """Which calls could have been in place, and what was kept for backward, with the bytes of each.

        Of a line that goes backward many times only the first backward is looked at, unless the recording was thorough;
        what was not looked at is not advised.
        """
        from inplace.checks.thrift import advise
        from inplace.render.words.thrift import to_text

        return to_text(advise(self.report.index))

    # ------------------------------------------------------------ keeping

    def save(self, path: str | Path) -> None:
        """Write the trace to a JSON file, to be read with `inplace.load`."""
        from inplace.facts.codec import dump

        dump(self.trace, path)


def last() -> Recording | None:
    """The recording of the last cell that ran under `%%inplace`; None before."""
    return _LAST[0]


def keep_last(recording: Recording) -> None:
    """Make a recording the one that `inplace.last` is."""
    _LAST[0] = recording


def record(*, strict: bool = False, thorough: bool = False) -> Recording:
    """Record the block of a `with` statement: `with inplace.record() as recording:`.

    The calling file or cell is what is recorded, and its module-level variables give the tensors their names.

    Args:
        strict: stop at a write that would destroy what a live graph has saved for backward, with an OverwriteError (a
            RuntimeError) in place of the write. Each write is then preceded by a walk over the live graphs.
        thorough: look at the graph before every backward, and not before the first of each line only, for `advice`.
    """
    from inplace.capture.record import Recorder

    frame: FrameType = sys._getframe(1)
    file = frame.f_code.co_filename

    def label(name: str) -> str | None:
        called = cell_name(name)
        return called if called is None or not is_static() else "this cell" if name == file else "an earlier cell"

    return Recording(
        Recorder(
            title=label(file) or Path(file).name,
            is_cell=lambda name: name == file,
            namespace=frame.f_globals,
            label=label,
            strict=strict,
            thorough=thorough,
        )
    )


def cell_name(file: str) -> str | None:
    """What a notebook calls the cell that Python knows by a file name; None for real files, and without a notebook."""
    shell = _shell()
    named = shell.compile.format_code_name(file) if shell is not None else None
    return str(named[1]) if named else None


def _shell() -> Any:
    """The IPython that we run in, if any."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def analyze(recording: Recording | Trace) -> Explanation:
    """The findings of a recording or of a trace, the worst first."""
    if isinstance(recording, Recording):
        return recording.report
    return _explained(recording)


def _explained(trace: Trace, tell: Tell = silent) -> Explanation:
    found = _analyze(trace, tell)
    return Explanation(found.index, found.findings)


def load(path: str | Path) -> Recording:
    """Read a recording from a file that `Recording.save` wrote. Nothing in the file is run.

    Raises:
        TraceFormatError: if the file is not one of ours, or of a format that this version does not know.
        OSError: if the file can't be read.
    """
    from inplace.facts.codec import load as read

    return Recording.of(read(path))
