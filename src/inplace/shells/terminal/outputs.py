"""Where the command line's report goes: files, and the process's own standard streams.

NOTE [ Each output stands for itself ]
What can be written is, whatever becomes of the rest: a fault of ours, a full disk or an interrupt costs the one output,
is told in a sentence, and stands in the JSON as the reason why it is not complete. What takes long comes last, and an
interrupt ends it; the text has been printed by then, and the JSON written, which is written again at the end.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from inplace.facts.errors import RecordingError
from inplace.facts.progress import Progress, Tell
from inplace.shells.terminal.forms import (
    as_json,
    as_one_of_several,
    explained,
    json_of,
    page_of,
    page_of_ranks,
    patch_of,
    together_of,
    told_of_each_other,
    value_of,
)
from inplace.shells.terminal.job import Job
from inplace.shells.terminal.per_process import is_of_job
from inplace.shells.terminal.signals import TerminatedError, interruptible
from inplace.shells.terminal.targets import Target, copy_of, flushed

if TYPE_CHECKING:
    from typing_extensions import Self

    from inplace.facts.model import Trace
    from inplace.judge.judge import Start
    from inplace.shells.explanation import Explanation
    from inplace.shells.terminal.children import Left
    from inplace.shells.terminal.together import Together

_T = TypeVar("_T")
_NO_REPORT = "no full report"
_NO_CHILDREN = "nothing is told of the children"
_NO_SHARED = "what one process wrote into memory of another was not looked for"
_NO_PROOF = "the fixes were not proved"
_UNFINISHED = "The report was ended before it was finished."
_SILENT = "inplace: this script made no call that is recorded, so there is nothing to show."


class Outputs:
    """The files and streams asked for, noted before a script runs: it may change folder, or close or replace them.

    Args:
        json: file for the diagnoses, `-` for standard output.
        html: file for the interactive page.
        trace: file for the trace.
        patch: file for the changes that are shown, as a unified diff; `-` for standard output.
        quiet: whether to leave the text out.
        advise: whether to say which calls could be in place; said even where the rest of the text is left out.
        gradients: whether to print the ledger of gradients; so is that.
        sarif: file for the diagnoses as SARIF.
        github: whether to print them as GitHub's workflow commands, to standard output.
        text: where the text goes, 1 for standard output and 2 for standard error.

    Attributes:
        is_terminated: whether the process was told to end while the report was made.
        explain: makes the explanation of a trace, and tells how far that is.
    """

    def __init__(
        self,
        *,
        json: str | None,
        html: str | None,
        trace: str | None,
        patch: str | None = None,
        quiet: bool,
        advise: bool = False,
        gradients: bool = False,
        sarif: str | None = None,
        github: bool = False,
        text: int = 2,
    ) -> None:
        self._json, self._html, self._trace = (
            None if name is None else Target(name) for name in ("/dev/stdout" if json == "-" else json, html, trace)
        )
        self._sarif = None if sarif is None else Target(sarif)
        self._github = Target("/dev/stdout") if github else None
        self._patch = None if patch is None else Target("/dev/stdout" if patch == "-" else patch)
        self._folder = os.getcwd()  # noqa: PTH109  # a script may go elsewhere
        self._quiet, self._advise, self._gradients = quiet, advise, gradients
        self._is_kept_only = (
            quiet and trace is not None and not (json or html or patch or advise or gradients or sarif or github)
        )
        self._together: Together | None = None
        self._job: Job | None = None
        with contextlib.suppress(Exception):  # what is wrong with the others keeps no script from running
            job = None if quiet or text == 1 else Job.here()
            self._job = job if job is not None and job.arrive() else None
        self._text = copy_of(text)
        self._found: Explanation | None = None
        self._calls = 0
        self._reasons: list[str] = []  # why the report is not complete
        self._is_cut_short = False  # whether an interrupt has come
        self.is_terminated = False
        self.explain: Callable[[Trace, Tell], Explanation] = explained

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for target in (self._json, self._html, self._trace, self._sarif, self._github, self._patch):
            if target is not None:
                target.close()
        if self._text is not None:
            with contextlib.suppress(OSError):
                self._text.close()

    @property
    def patience(self) -> Callable[[], None] | None:
        """What is told of SIGTERM while the report of one process of a job is made; None to end it at once."""
        return self._hold if is_of_job() else None

    def _hold(self) -> None:
        """The process is to end: what takes long is left out, and what there is so far is written in any case."""
        self.is_terminated = self._is_cut_short = True
        if self._found is None and self._json is not None and self._json.is_file:
            early = [*self._reasons, _UNFINISHED]
            self._written(self._json, lambda: json_of(None, self._calls, None, early), is_told=False)

    @property
    def is_drawn(self) -> bool:
        """Whether a page was asked for."""
        return self._html is not None

    @property
    def found(self) -> Explanation | None:
        """What was found, None before it was, or where nothing could be."""
        return self._found

    def report(
        self,
        trace: Trace | BaseException,
        error: BaseException | None = None,
        start: Callable[[], Start] | None = None,
        children: Sequence[Left] = (),
        *,
        is_launcher: bool = False,
    ) -> None:
        """Print and write what was asked for; `error` is what ended the script, from `start` its fixes are proved.

        What its `children` have shown is told with it; a launcher has nothing of its own to tell.

        A fault of ours, which may be there in place of a trace, is told in one line and changes nothing else.
        """
        with interruptible(self.patience):
            calls = self._calls = 0 if isinstance(trace, BaseException) else len(trace.calls)
            try:
                if isinstance(trace, BaseException):
                    self._told(_NO_REPORT, trace)
                else:
                    self._report(trace, error, start, children, is_launcher=is_launcher)
                self._finish_json(calls, error)
            except (KeyboardInterrupt, TerminatedError) as late:  # between two outputs
                self._told(_NO_REPORT, late)
                self._finish_json(calls, error)

    def _report(
        self,
        trace: Trace,
        error: BaseException | None,
        start: Callable[[], Start] | None,
        children: Sequence[Left],
        *,
        is_launcher: bool,
    ) -> None:
        if self._trace is not None and self._is_kept_only and not children:
            self._dump(trace, self._trace)
            return
        if children:
            several = [as_one_of_several(trace), *(child.trace for child in children)]
            trace, *theirs = self._tried(_NO_SHARED, lambda: told_of_each_other(several)) or several
            children = [replace(child, trace=found) for child, found in zip(children, theirs, strict=True)]
        bar = Progress(self._show_bar, f"looking at {len(trace.calls):,} calls")
        found = self._found = self._tried(_NO_REPORT, lambda: self.explain(trace, bar.part(0, self._analysis)))
        if found is not None and children:
            plain = found
            self._together = self._tried(_NO_CHILDREN, lambda: together_of(plain, children, is_launcher=is_launcher))
        is_slow = start or self._html or self._trace
        if found is not None and self._json is not None and self._json.is_file and is_slow:
            early = [*self._reasons, _UNFINISHED]
            self._written(self._json, lambda: json_of(found, len(trace.calls), error, early), is_told=False)
        if self._trace is not None:
            self._dump(trace, self._trace)
            self._dump_children(self._trace)
        if found is not None and start is not None:
            begin, plain = start, found
            found = self._found = self._tried(_NO_PROOF, lambda: plain.proved(begin()), is_slow=True) or plain
        self._wipe(bar)
        if found is not None:
            self._print(found, error)
            self._write_for_machines(found, error)
            if self._patch is not None:
                shown = found
                self._written(self._patch, lambda: patch_of(shown, self._folder))
            if self._html is not None:
                page = found
                self._written(self._html, lambda: self._page_of(page, bar, error), is_slow=True)
                self._wipe(bar)
        elif self._html is not None:
            self._lost(self._html)

    @property
    def _analysis(self) -> float:
        """The part of a long look that the analysis takes."""
        if self._html is None:
            return 1
        from inplace.shells.explanation import ANALYSIS

        return ANALYSIS

    def _print(self, found: Explanation, error: BaseException | None) -> None:
        trace = found.trace
        together = self._together
        if not self._quiet and together is not None:
            own = value_of(found, len(trace.calls), error, self._reasons)
            self._say(self._tried("no text", lambda: together.text(own)))
        elif not self._quiet and self._job is not None:
            job, own = self._job, value_of(found, len(trace.calls), error, self._reasons)
            self._say(self._tried("no text", lambda: job.say(own)))
        elif not self._quiet and (error is None or trace.calls):
            told = self._tried("no text", lambda: str(found) if trace.calls or trace.notes else _SILENT)
            self._say(told)
        if self._advise and trace.calls:
            self._say(self._tried("no advice", found.advice))
        if self._gradients and trace.calls:
            self._say(self._tried("no ledger of gradients", found.gradients))

    def _write_for_machines(self, found: Explanation, error: BaseException | None) -> None:
        """Write what editors and code hosts read."""
        if self._sarif is None and self._github is None:
            return
        from inplace.render.words.machine import to_github, to_sarif

        together = self._together
        own = value_of(found, len(found.trace.calls), error, self._reasons)
        value = own if together is None else together.merged(own)
        if self._sarif is not None:
            self._written(self._sarif, lambda: as_json(to_sarif(value)))
        if self._github is not None:
            self._written(self._github, lambda: to_github(value))

    def _finish_json(self, calls: int, error: BaseException | None) -> None:
        if self._json is None:
            return
        together = self._together
        if together is None:
            self._written(self._json, lambda: json_of(self._found, calls, error, self._reasons))
            return
        own = value_of(self._found, calls, error, self._reasons)
        if not self._json.is_file:
            self._written(self._json, lambda: as_json(together.merged(own)))
            return
        for part, child in zip(together.parts(), together.children, strict=True):
            with self._json.of_child(part) as target:
                self._written(target, lambda child=child: as_json(child.to_json()))  # type: ignore[misc]
        if is_of_job():  # the ranks are merged with each other; what the children of one say stands beside it
            self._written(self._json, lambda: as_json(own))
            return
        if together.own is not None:
            with self._json.of_child(f"pid{os.getpid()}") as target:
                self._written(target, lambda: as_json(own))
        self._written(self._json, lambda: as_json(together.merged(own)))

    def _dump_children(self, target: Target) -> None:
        together = self._together
        if together is None or not target.is_file:
            return
        for part, child in zip(together.parts(), together.children, strict=True):
            with target.of_child(part) as other:
                self._dump(child.trace, other)

    def _page_of(self, found: Explanation, bar: Progress, error: BaseException | None) -> str:
        if self._together is not None:
            return self._together.page(value_of(found, self._calls, error, self._reasons))
        return page_of(found, bar)

    def report_merged(self, values: Sequence[dict[str, Any]], pictured: Sequence[Explanation]) -> None:
        """Print and write what several processes say as one; `pictured` are those of them that can be drawn."""
        from inplace.render.words.merged import merged
        from inplace.render.words.merged_text import to_text

        with interruptible():
            value = merged(values)
            if not self._quiet:
                self._say(self._tried("no text", lambda: to_text(value)))
            if self._json is not None:
                self._written(self._json, lambda: as_json(value))
            if self._html is not None:
                self._written(self._html, lambda: page_of_ranks(value, pictured), is_slow=True)

    # ------------------------------------------------------------ each for itself

    def _tried(self, what: str, action: Callable[[], _T], *, is_slow: bool = False) -> _T | None:
        """What an action gives; where it fails, that is told, and nothing is given."""
        if is_slow and self._is_cut_short:
            self._told(what, KeyboardInterrupt())
            return None
        try:
            return action()
        except (Exception, KeyboardInterrupt, TerminatedError) as fault:
            self._told(what, fault)
            return None

    def _written(self, target: Target, make: Callable[[], str], *, is_slow: bool = False, is_told: bool = True) -> None:
        """Write a text to where it is wanted."""
        what = f"{target.given} was not written"
        if is_slow and self._is_cut_short:
            self._told(what, KeyboardInterrupt())
            return
        try:
            text = make()
            with target.opened() as file:
                file.write(text)
        except (Exception, KeyboardInterrupt, TerminatedError) as fault:
            if is_told or not isinstance(fault, Exception):
                self._told(what, fault, target)

    def _dump(self, trace: Trace, target: Target) -> None:
        from inplace.facts.codec import dump

        try:
            with target.replaced() as file:
                dump(trace, file)
        except (Exception, KeyboardInterrupt, TerminatedError) as fault:
            self._told(f"{target.given} was not written", fault, target)

    def _lost(self, target: Target) -> None:
        """Say that what would stand in a file could not be made."""
        sentence = f"{target.given} was not written, as there is no full report."
        self._reasons.append(sentence)
        self._say(f"inplace: {sentence}")

    def _told(self, what: str, fault: BaseException, target: Target | None = None) -> None:
        """Say why something was not done."""
        self._is_cut_short = self._is_cut_short or not isinstance(fault, Exception)
        self.is_terminated = self.is_terminated or isinstance(fault, TerminatedError)
        sentence = _why_not(what, fault, target)
        self._reasons.append(sentence if target is not None else sentence[:1].upper() + sentence[1:])
        self._say(f"inplace: {sentence}")

    # ------------------------------------------------------------ streams

    def _wipe(self, bar: Progress) -> None:
        if bar.is_shown:
            self._show_bar("")

    def _show_bar(self, text: str) -> None:
        """Write a line over the one before, where somebody looks at a terminal."""
        if self._text is not None and self._text.isatty():
            with flushed(self._text) as stream:
                stream.write(f"\r\x1b[K{text}")

    def _say(self, text: str | None) -> None:
        if self._text is None or text is None:
            return
        try:
            with flushed(self._text) as stream:
                stream.write(text + "\n")
        except OSError as refused:
            if refused.strerror is not None:
                self._reasons.append(f"The text can't be written ({refused.strerror}).")


def _why_not(what: str, fault: BaseException, target: Target | None) -> str:
    """Why something was not done, in one sentence."""
    if isinstance(fault, TerminatedError):
        return f"{what}: the process was told to end."
    if isinstance(fault, KeyboardInterrupt):
        return f"{what}: the report was interrupted."
    if isinstance(fault, RecordingError):
        return f"{fault}."
    if isinstance(fault, OSError):
        name = target.given if target is not None else fault.filename or "the report"
        return f"{name} can't be written ({fault.strerror or fault})."
    told = " ".join(f"{type(fault).__name__}: {fault}".split())
    return f"{what}, because of a fault of ours ({told}). Your script was not affected; please report it."
