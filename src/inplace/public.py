"""The Python face: record a block, look at what was found, keep it in a file."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from inplace.analysis import analyze as _analyze
from inplace.errors import RecordingError

if TYPE_CHECKING:
    from typing_extensions import Self

    from inplace.analysis.report import Report
    from inplace.capture.record import Recorder
    from inplace.model import Trace


class Recording:
    """What was recorded of one run: its trace, the report on it, and the ways to look at both.

    It prints as text in a terminal and as a picture in a notebook. It holds no tensor.
    """

    def __init__(self, recorder: Recorder | None = None, trace: Trace | None = None) -> None:
        self._recorder, self._trace = recorder, trace
        self._report: Report | None = None

    @classmethod
    def of(cls, trace: Trace) -> Recording:
        """The recording that a trace tells of."""
        return cls(trace=trace)

    # ------------------------------------------------------------ recording

    def __enter__(self) -> Self:
        if self._recorder is None:
            raise RecordingError("this recording has ended: begin another with inplace.record()")
        self._recorder.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            self._trace = recorder.stop(error)
            if error is not None:
                recorder.strip(error)

    @property
    def trace(self) -> Trace:
        """Everything that was observed.

        Raises:
            RecordingError: while the recording is still going on.
        """
        if self._trace is None:
            raise RecordingError("this recording has not ended yet: look at it after the with block")
        return self._trace

    @property
    def report(self) -> Report:
        """The findings, the worst first; computed once."""
        if self._report is None:
            self._report = _analyze(self.trace)
        return self._report

    # ------------------------------------------------------------ looking

    def __str__(self) -> str:
        if self._trace is None:
            return "a recording that has not ended yet"
        from inplace.render.text import to_text

        return to_text(self.report)

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        if self._trace is None:
            return {"text/plain": str(self)}
        return {"text/plain": str(self), "image/svg+xml": self.to_svg()}

    def widget(self) -> Any:
        """The interactive widget, for notebooks."""
        from inplace.render.diagram import diagram
        from inplace.render.widget import DiagramWidget

        return DiagramWidget(diagram=diagram(self.report).to_json())

    def to_html(self) -> str:
        """One self-contained interactive page that needs no network."""
        from inplace.render.diagram import diagram
        from inplace.render.html import to_html

        return to_html(diagram(self.report))

    def to_svg(self) -> str:
        """One self-contained picture."""
        from inplace.render.svg import to_svg

        return to_svg(self.report)

    def to_dot(self) -> str:
        """The Graphviz source of the autograd graph."""
        from inplace.render.dot import to_dot

        return to_dot(self.report)

    # ------------------------------------------------------------ keeping

    def save(self, path: str | Path) -> None:
        """Write the trace to a JSON file, to be read with `inplace.load`."""
        from inplace.codec import dump

        dump(self.trace, path)


def record() -> Recording:
    """Record the block of a `with` statement: `with inplace.record() as recording:`.

    The calling file is the cell, and its module-level variables give the tensors their names.
    """
    from inplace.capture.record import Recorder

    frame: FrameType = sys._getframe(1)
    file = frame.f_code.co_filename
    return Recording(Recorder(title=Path(file).name, is_cell=lambda name: name == file, namespace=frame.f_globals))


def analyze(recording: Recording | Trace) -> Report:
    """The findings of a recording or of a trace, the worst first."""
    return recording.report if isinstance(recording, Recording) else _analyze(recording)


def load(path: str | Path) -> Recording:
    """Read a recording from a file that `Recording.save` wrote. Nothing in the file is run.

    Raises:
        TraceFormatError: if the file is not one of ours, or of a format that this version does not know.
        OSError: if the file can't be read.
    """
    from inplace.codec import load as read

    return Recording.of(read(path))
