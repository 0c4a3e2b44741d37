"""Where the command line's report goes: files, and the process's own standard streams."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from inplace.facts.errors import RecordingError
from inplace.facts.progress import Progress
from inplace.shells.terminal.ending import with_error

if TYPE_CHECKING:
    from typing_extensions import Self

    from inplace.facts.model import Trace
    from inplace.judge.judge import Start

_INTERRUPTED = "inplace: the report was interrupted."
_SILENT = "inplace: this script called no tensor function, so there is nothing to show."


class Outputs:
    """The files and streams asked for, noted before a script runs: it may change folder, or close or replace them.

    Args:
        json: file for the diagnoses, `-` for standard output.
        html: file for the interactive page.
        trace: file for the trace.
        quiet: whether to leave the text out.
        advise: whether to say which calls could be in place; said even where the rest of the text is left out.
        text: where the text goes, 1 for standard output and 2 for standard error.
    """

    def __init__(
        self, *, json: str | None, html: str | None, trace: str | None, quiet: bool, advise: bool = False, text: int = 2
    ) -> None:
        self._json, self._html, self._trace = (_from_anywhere(name) for name in (json, html, trace))
        self._quiet, self._advise = quiet, advise
        self._has_json = False
        self._text = _copy_of(text)
        self._stdout = _copy_of(1) if json == "-" else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._text, self._stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def report(
        self,
        trace: Trace | BaseException,
        error: BaseException | None = None,
        start: Callable[[], Start] | None = None,
    ) -> None:
        """Print and write what was asked for; `error` is what ended the script, from `start` its fixes are proved.

        A fault of ours, which may be there in place of a trace, is one line on stderr and changes nothing else.
        """
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        try:
            if isinstance(trace, BaseException):
                raise trace  # noqa: TRY301  # told like every other fault
            self._write(trace, error, start)
        except (Exception, KeyboardInterrupt) as fault:
            self._say(_why_no_report(fault))
            with contextlib.suppress(Exception):
                self._put_fallback(0 if isinstance(trace, BaseException) else len(trace.calls), error)

    def _write(self, trace: Trace, error: BaseException | None, start: Callable[[], Start] | None) -> None:
        from inplace.facts.codec import dump
        from inplace.shells.explanation import ANALYSIS, Explanation

        if self._trace is not None:
            dump(trace, self._trace)
        progress = Progress(self._show_bar, len(trace.calls))
        try:
            explanation = Explanation.of(trace, progress.part(0, 1 if self._html is None else ANALYSIS))
            if start is not None:
                explanation = explanation.proved(start())
            if self._json is not None:
                self._put_json(with_error(explanation.to_json(), error))
            if self._html is not None:
                explanation.diagram(progress.part(ANALYSIS, 1))
                Path(self._html).write_text(explanation.to_html(), encoding="utf-8")
        finally:
            if progress.is_shown:
                self._show_bar("")
        if not self._quiet and (error is None or trace.calls):
            self._say(str(explanation) if trace.calls or trace.notes else _SILENT)
        if self._advise and trace.calls:
            self._say(explanation.advice())

    def _put_fallback(self, calls: int, error: BaseException | None) -> None:
        """Write the diagnoses of a run that could not be looked at, unless they have been written."""
        if self._json is not None and not self._has_json:
            self._put_json(
                with_error({"format": 1, "error": None, "calls": calls, "diagnoses": [], "not_looked_at": []}, error)
            )

    def _put_json(self, value: dict[str, Any]) -> None:
        import json  # not before the script has run, which may have a module of this name

        text = json.dumps(value, indent=2) + "\n"
        self._has_json = True
        if self._json != "-":
            Path(str(self._json)).write_text(text, encoding="utf-8")
        elif self._stdout is not None:
            with _written(self._stdout) as stream:
                stream.write(text)

    def _show_bar(self, text: str) -> None:
        """Write a line over the one before, where somebody looks at a terminal."""
        if self._text is not None and self._text.isatty():
            with _written(self._text) as stream:
                stream.write(f"\r\x1b[K{text}")

    def _say(self, text: str) -> None:
        if self._text is not None:
            with _written(self._text) as stream:
                stream.write(text + "\n")


def _from_anywhere(name: str | None) -> str | None:
    return name if name in {None, "-"} else str(Path(str(name)).absolute())


def _copy_of(number: int) -> TextIO | None:
    """A stream of our own to where a standard stream leads; None where it leads nowhere."""
    stream = sys.stdout if number == 1 else sys.stderr
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        return os.fdopen(os.dup(number), "w", encoding=encoding, errors="backslashreplace")
    except OSError:
        return None


@contextlib.contextmanager
def _written(stream: TextIO) -> Iterator[TextIO]:
    """Write to a stream whose reader may have gone, without a word about it."""
    with contextlib.suppress(BrokenPipeError):
        yield stream
        stream.flush()


def _why_no_report(fault: BaseException) -> str:
    """Why there is no full report, in one line."""
    if isinstance(fault, KeyboardInterrupt):
        return _INTERRUPTED
    if isinstance(fault, RecordingError):
        return f"inplace: {fault}."
    if isinstance(fault, OSError):
        return f"inplace: {fault.filename or 'the report'} can't be written ({fault.strerror})."
    told = " ".join(f"{type(fault).__name__}: {fault}".split())
    return (
        f"inplace: no full report, because of a fault of ours ({told}). Your script was not affected; please report it."
    )
