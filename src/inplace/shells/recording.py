"""What was recorded of one run: a recorder while it goes on, and the explanation of its trace afterwards."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from inplace.facts.errors import RecordingError
from inplace.facts.progress import silent
from inplace.shells.explanation import ANALYSIS, Explanation

if TYPE_CHECKING:
    from typing_extensions import Self

    from inplace.capture.record import Recorder
    from inplace.facts.model import Trace
    from inplace.facts.progress import Progress, Tell
    from inplace.judge.judge import Start
    from inplace.shells.windows import WindowsSeen

_LOUD = ("error", "warning")


class Recording:
    """What was recorded of one run: its trace, the report on it, and the ways to look at both.

    It shows what its report shows. It holds no tensor.
    """

    def __init__(
        self,
        recorder: Recorder | None = None,
        trace: Trace | None = None,
        session: Trace | None = None,
        *,
        seen: WindowsSeen | None = None,
    ) -> None:
        self._recorder, self._trace, self._session, self._seen = recorder, trace, session, seen
        self._report: Explanation | None = None
        self._fault: Exception | None = None

    @classmethod
    def of(cls, trace: Trace, session: Trace | None = None, *, seen: WindowsSeen | None = None) -> Recording:
        """The recording that a trace tells of; in a session also the trace behind those of the runs before it.

        Where it was cut into windows the trace is the last one, and the others were `seen`.
        """
        return cls(trace=trace, session=session, seen=seen)

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
            if self._seen is not None:
                self._session, _ = recorder.session()
        except Exception as fault:  # of ours: the block must end as it would without us
            self._fault = fault
        finally:
            recorder.undo()
            if error is not None:
                recorder.strip(error)

    @property
    def trace(self) -> Trace:
        """Everything that was observed; with `keep` what was since others were let go of.

        Raises:
            RecordingError: while the recording is still going on, or where a fault of ours has ended it.
        """
        if self._trace is None:
            raise RecordingError(self._why_no_trace()) from self._fault
        return self._trace

    @property
    def is_explained(self) -> bool:
        """Whether its report has been computed."""
        return self._report is not None

    def _why_no_trace(self) -> str:
        if self._fault is None:
            return "this recording has not ended yet: look at it after the with block"
        if isinstance(self._fault, RecordingError):
            return str(self._fault)
        told = " ".join(f"{type(self._fault).__name__}: {self._fault}".split())
        return f"there is no recording, because of a fault of ours ({told}): please report it"

    def look(self, progress: Progress | None = None) -> Explanation:
        """The report, with what its pictures show computed too, which takes long for a long recording."""
        if self._report is None:
            self._report = self._explained(silent if progress is None else progress.part(0, ANALYSIS))
        self._report.diagram(silent if progress is None else progress.part(ANALYSIS, 1))
        return self._report

    @property
    def report(self) -> Explanation:
        """The findings, the worst first; computed once."""
        if self._report is None:
            self._report = self._explained(silent)
        return self._report

    @property
    def is_loud(self) -> bool:
        """Whether there is an error or a warning among what was found, in any window."""
        if any(finding.severity in _LOUD for finding in self.report.findings):
            return True
        return self._seen is not None and self._seen.is_loud

    def _explained(self, tell: Tell) -> Explanation:
        if self._session is None:
            return Explanation.of(self.trace, tell)
        if self._seen is not None:
            return self._seen.ended(self._session, self.trace, tell)
        return Explanation.of_run(self._session, self.trace, tell)

    # ------------------------------------------------------------ looking

    def __str__(self) -> str:
        return self._why_no_trace() if self._trace is None else str(self.report)

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, Any]:
        return {"text/plain": str(self)} if self._trace is None else self.report._repr_mimebundle_()

    def _display_(self) -> Any:
        """What marimo shows."""
        return str(self) if self._trace is None else self.look()._display_()

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

    def prove(self, start: Start, tell: Tell = silent) -> None:
        """Replay the code from `start` with the fixes of the report, and put into it what was proved.

        `tell` hears how far that is.
        """
        self._report = self.report.proved(start, tell)

    def advice(self) -> str:
        """Which calls could have been in place, and what was kept for backward, with the bytes of each.

        Of a line that goes backward many times only the first backward is looked at, unless the recording was thorough;
        what was not looked at is not advised.

        Raises:
            RecordingError: where calls were let go of (`keep`).
        """
        self._need_all("advice")
        return self.report.advice()

    def gradients(self) -> str:
        """What happened to the gradient of each parameter before each step, and on which lines."""
        return self.report.gradients()

    def _need_all(self, what: str) -> None:
        if self._seen is not None and self._seen.has_let_go:
            raise RecordingError(f"this recording has let go of calls (keep), and {what} needs all of them")

    # ------------------------------------------------------------ keeping

    def save(self, path: str | Path) -> None:
        """Write the trace to a JSON file, to be read with `inplace.load`; one that is there stays until it is whole.

        Raises:
            RecordingError: where there is no trace, or calls were let go of (`keep`), so that it is not whole.
        """
        from inplace.facts.codec import dump
        from inplace.facts.whole_file import replacing

        trace = self.trace
        self._need_all("save")
        with replacing(path) as file:
            dump(trace, file)
