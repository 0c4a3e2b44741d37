"""The recording of a cell, from the moment at which IPython is about to run it to what is shown below it."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from inplace.facts.errors import RecordingError
from inplace.facts.progress import Progress
from inplace.shells.environment import is_static
from inplace.shells.last import keep_last, last
from inplace.shells.notebook.cell_magic import OPTIONS, options_of, settled
from inplace.shells.notebook.cells import TIMED, asked_for, source_of_timed, take_away
from inplace.shells.notebook.display import Bar, blame, is_moving, note, put, show, tell_text
from inplace.shells.notebook.shell import CellHooks
from inplace.shells.notebook.sign import Sign
from inplace.shells.recorder import kept_by, nothing_carried, recorder_of, windows_seen

if TYPE_CHECKING:
    from inplace.capture.carried import Carried
    from inplace.capture.record import Recorder
    from inplace.facts.model import Trace
    from inplace.judge.judge import Start
    from inplace.shells.windows import WindowsSeen

_ALL_THE_SAME = "The cell runs all the same."
_BEFORE = "the cell before"
_EMPTY = "this cell made no call that is recorded, so there is nothing to show."
_INTERRUPTED = "the report was interrupted; %inplace why tries again."
_NESTED = "this cell is being recorded already; the inner %%inplace ran its code as part of the same recording."
_TWICE = "%%inplace stands more than once above this cell; once is enough."


@dataclass
class _Plan:
    """One cell that is to be recorded, from `pre_run_cell` to `post_run_cell`."""

    info: Any
    files: list[str]
    options: Namespace
    asked: bool  # by `%%inplace` above the cell; False where `%inplace on` did
    recorder: Recorder | None = None
    begun: bool = False
    hooks: CellHooks | None = None
    seen: WindowsSeen | None = None  # what looks at its windows, where it lets go of what is over
    copy: Start | None = None  # what a replay of the cell begins from
    sign: Sign | None = None  # that it is being recorded, below a cell that takes long

    def undo(self) -> None:
        """Leave the shell as it was."""
        if self.hooks is not None:
            self.hooks.undo()
        if self.sign is not None:
            self.sign.end()
            self.sign = None

    def abandon(self) -> None:
        """End a recording that has not ended and make nothing of it, and remove the copies made for a replay."""
        if self.copy is not None:
            self.copy.close()
        recorder = self.recorder
        if recorder is not None and type(recorder)._current is recorder:
            recorder.stop()


class Session:
    """What one shell was given to see its cells begin and end, and the recording that goes on in it.

    Attributes:
        records_every_cell: whether cells without `%%inplace` are recorded too.
        shows: whether what was found is shown below a cell.
        seconds: how long the cells ran, by the number of their run.
        failed: the `id` of the exception that ended the last cell, where that was not recorded.

    Args:
        shell: the IPython shell.
        is_recorded: whether somebody else records all that it runs.
    """

    def __init__(self, shell: Any, *, is_recorded: bool = False) -> None:
        self._is_recorded = is_recorded
        self.records_every_cell, self.shows = False, True
        self._options: Namespace | None = None  # of cells that are recorded without being asked for one by one
        self.seconds: dict[int, float] = {}
        self._began = perf_counter()  # in the middle of the cell that has loaded us
        self.failed: int | None = None
        self._shell = shell
        self._plan: _Plan | None = None
        self._carried: Carried | None = None  # what the runs so far hand on to the next; None where there was none
        shell.input_transformers_cleanup.append(take_away)
        shell.events.register("pre_run_cell", self._before)
        shell.events.register("post_run_cell", self._after)

    def record_every_cell(self, options: Namespace) -> None:
        """Record cells from the next on, those without a `%%inplace` of their own with some options."""
        own, _ = options_of([])
        vars(own).update({name: value for name, value in vars(options).items() if name in vars(own)})
        self._options, self.records_every_cell = own, True

    def close(self) -> None:
        """Leave the shell as it was, even in the middle of a recorded cell."""
        shell, plan = self._shell, self._plan
        shell.events.unregister("pre_run_cell", self._before)
        shell.events.unregister("post_run_cell", self._after)
        if take_away in shell.input_transformers_cleanup:
            shell.input_transformers_cleanup.remove(take_away)
        if self._carried is not None:
            self._carried.end()
        if plan is not None:
            self._plan = None
            plan.undo()
            plan.abandon()

    # ------------------------------------------------------------ a cell begins

    def _before(self, info: Any) -> None:
        if self._plan is None:
            self._began = perf_counter()
        try:
            self._prepare(info)
        except Exception as fault:
            blame(fault)

    def _prepare(self, info: Any) -> None:
        if self._is_recorded:
            return
        asked = asked_for(info.raw_cell)
        if self._plan is not None:  # `%%capture`, `get_ipython().run_cell(...)`: a cell inside the cell
            self._plan.files += self._files_of(info)
            if asked and not self._plan.info.raw_cell.rstrip().endswith(info.raw_cell.rstrip()):
                note(_NESTED)
            return
        if not asked and not self.records_every_cell:
            return
        options, unknown = options_of(asked, None if asked else self._options)
        if unknown:
            listed = ", ".join(OPTIONS)
            note(f"%%inplace does not know {unknown[0]!r}; its options are {listed}. {_ALL_THE_SAME}")
        options, told = settled(options)
        for one in told:
            note(f"{one} {_ALL_THE_SAME}")
        if len(asked) > 1:
            note(_TWICE)
        plan = _Plan(info=info, files=self._files_of(info), options=options, asked=bool(asked))
        self._plan = plan
        plan.hooks = CellHooks(self._shell, lambda: self._start(plan))

    def _files_of(self, info: Any) -> list[str]:
        """What Python may call the cell's code: IPython 9 has counted the cell by now, IPython 8 does so in the end."""
        shell, code = self._shell, self._source_of(info)
        count = shell.execution_count
        return [str(shell.compile.get_code_name(info.raw_cell, code, number)) for number in (count, count - 1)]

    def _source_of(self, info: Any) -> str:
        """The Python that IPython runs for a cell."""
        code = getattr(info, "transformed_cell", None)
        return str(self._shell.transform_cell(info.raw_cell) if code is None else code)

    def _start(self, plan: _Plan) -> None:
        if plan.begun or self._plan is not plan:
            return
        plan.begun = True
        try:
            if plan.options.verify:
                from inplace.judge.judge import cell_start

                plan.copy = cell_start(plan.files[0], self._source_of(plan.info), self._shell.user_ns)
            plan.seen = windows_seen(plan.options.keep)
            recorder = recorder_of(
                plan.files,
                self._shell.user_ns,
                title="this cell",
                timed=TIMED,
                strict=plan.options.strict,
                thorough=plan.options.advise,
                light=plan.options.light,
                **kept_by(plan.seen, self._carried or nothing_carried()),
            )
            if plan.hooks is not None:
                plan.hooks.strip_with(recorder.strip)
            plan.recorder = recorder
            if self.shows and not plan.options.quiet and is_moving(self._shell):
                plan.sign = Sign.of(self._shell, recorder.calls_so_far)
            try:
                recorder.start()
            except BaseException:  # a refusal, a fault of ours, or an interrupt: nothing is recorded
                plan.recorder = None
                recorder.undo()
                raise
        except RecordingError as refusal:
            note(f"{refusal}. {_ALL_THE_SAME}")
        except Exception as fault:
            blame(fault)

    # ------------------------------------------------------------ a cell ends

    def _after(self, result: Any) -> None:
        plan = self._plan
        count = getattr(result, "execution_count", None)
        if count is not None:
            self.seconds[count] = perf_counter() - self._began
        if plan is None:
            error = getattr(result, "error_in_exec", None)
            self.failed = self.failed if error is None else id(error)
            return
        # IPython makes up a result, with another info, where an exception reached it from outside the cell's code.
        if result is not None and result.info is not plan.info and result.info.raw_cell != plan.info.raw_cell:
            return
        self._plan = self.failed = None
        plan.undo()
        before = last()
        try:
            self._finish(plan, getattr(result, "error_in_exec", None))
        except KeyboardInterrupt:
            tell_text(last(), before, quiet=plan.options.quiet)
            note(_INTERRUPTED)
        except Exception as fault:
            tell_text(last(), before, quiet=plan.options.quiet)
            blame(fault)
        finally:
            plan.abandon()

    def _finish(self, plan: _Plan, error: BaseException | None) -> None:
        if plan.recorder is None:
            return
        with source_of_timed(plan.info.raw_cell):
            trace = plan.recorder.stop(error)
        session = self._hand_on(plan.recorder)
        if not plan.asked and not trace.calls and error is None:
            return
        from inplace.shells.recording import Recording

        recording = Recording.of(trace, session, seen=plan.seen)
        # PyTorch refuses what earlier cells have made without a call, too: the parameters of an optimizer.
        is_refused = not trace.calls and error is not None and recording.report.worst == "error"
        if not plan.asked and not trace.calls and not is_refused:
            return
        keep_last(recording)
        is_shown = self.shows and not plan.options.quiet
        bar = Bar(is_kept=is_shown and is_moving(self._shell))
        if plan.copy is not None:
            recording.prove(plan.copy, Progress(bar.show, "trying the changes", delay=0))
        if plan.options.quiet or not self.shows:
            return
        if trace.calls or trace.notes or is_refused:
            show(recording, self._shell, bar)
        elif error is None:
            note(_EMPTY)
        if plan.options.advise and trace.calls:
            put({"text/plain": recording.advice()})
        if plan.options.gradients and trace.calls:
            put({"text/plain": recording.gradients()})

    def _hand_on(self, recorder: Recorder) -> Trace | None:
        """The trace of the run behind those before it, which the next run gets too; None where a fault of ours ends it.

        The history then begins anew with the next run.
        """
        self._carried, session = None, None
        try:
            session, self._carried = recorder.session()
            if is_static():
                self._carried.rename({session.title: _BEFORE, _BEFORE: "an earlier cell"})
            self._carried.wait()
        except Exception as fault:
            blame(fault)
        return session
