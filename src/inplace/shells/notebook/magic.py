"""`%%inplace` and `%inplace`: record the cell that IPython is about to run anyway, and show what was found below it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inplace.facts.errors import RecordingError
from inplace.facts.progress import Progress
from inplace.shells.notebook.cells import MAGIC, TIMED, asked_for, source_of_timed, take_away
from inplace.shells.notebook.shell import Bar, CellHooks, caught
from inplace.shells.recording import WIDGET_VIEW, cell_name, is_static, last

if TYPE_CHECKING:
    from collections.abc import Callable

    from inplace.capture.record import Recorder
    from inplace.judge.judge import Start
    from inplace.shells.recording import Recording

_ALL_THE_SAME = "The cell runs all the same."
_EMPTY = "this cell called no tensor function, so there is nothing to show."
_NESTED = "this cell is being recorded already; the inner %%inplace ran its code as part of the same recording."
_TWICE = "%%inplace stands more than once above this cell; once is enough."
_NO_RECORDING = "nothing has been recorded yet: put %%inplace above a cell, or type %inplace on, then run a cell."
_OPTIONS = {
    "--quiet": "show nothing; the recording is `inplace.last`, and `%inplace why` shows it.",
    "--advise": "say which calls could be in place, and what is kept for backward, by bytes.",
    "--strict": "stop at a write that would destroy what a live graph has saved, instead of in backward.",
    "--verify": "replay the cell with the fixes in a process of its own, and say which are proved.",
}
_LISTED = ", ".join(_OPTIONS)
_USAGE = (
    "%inplace takes one word: on (record every cell from now on), off, why (explain the last cell), "
    "example (list worked examples, or open one by id or topic), or claims (check what is said about in-place calls)."
)


@dataclass
class _Plan:
    """One cell that is to be recorded, from `pre_run_cell` to `post_run_cell`."""

    info: Any
    name: str
    files: list[str]
    options: frozenset[str]
    asked: bool  # by `%%inplace` above the cell; False where `%inplace on` did
    recorder: Recorder | None = None
    begun: bool = False
    hooks: CellHooks | None = None
    copy: Start | None = None  # what a replay of the cell begins from

    def undo(self) -> None:
        if self.hooks is not None:
            self.hooks.undo()

    def drop_copy(self) -> None:
        """Remove the copies made for a replay, where there was none."""
        if self.copy is not None:
            self.copy.close()


def load(shell: Any) -> None:
    """Make `%%inplace` and `%inplace` known to an IPython shell. Doing so again changes nothing."""
    if shell not in _SESSIONS:
        _SESSIONS[shell] = _Session(shell)


def unload(shell: Any) -> None:
    """Take out of an IPython shell everything that `load` put in."""
    session = _SESSIONS.pop(shell, None)
    if session is not None:
        session.close()


class _Session:
    """What one shell was given, and the recording that goes on in it."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._plan: _Plan | None = None
        self._every_cell = False
        self._failed: int | None = None  # the `id` of the exception that ended a cell which was not recorded
        shell.input_transformers_cleanup.append(take_away)
        shell.events.register("pre_run_cell", self._before)
        shell.events.register("post_run_cell", self._after)
        shell.register_magic_function(self._cell_magic, "cell", "inplace")
        shell.register_magic_function(self._line_magic, "line", "inplace")

    def close(self) -> None:
        shell, plan = self._shell, self._plan
        shell.events.unregister("pre_run_cell", self._before)
        shell.events.unregister("post_run_cell", self._after)
        if take_away in shell.input_transformers_cleanup:
            shell.input_transformers_cleanup.remove(take_away)
        for kind, ours in (("cell", self._cell_magic), ("line", self._line_magic)):
            if shell.magics_manager.magics[kind].get("inplace") == ours:
                del shell.magics_manager.magics[kind]["inplace"]
        if plan is not None:
            self._plan = None
            plan.undo()
            _abandon(plan)

    # ------------------------------------------------------------ a cell begins

    def _before(self, info: Any) -> None:
        try:
            self._prepare(info)
        except Exception as fault:
            self._blame(fault)

    def _prepare(self, info: Any) -> None:
        asked = asked_for(info.raw_cell)
        if self._plan is not None:  # `%%capture`, `get_ipython().run_cell(...)`: a cell inside the cell
            self._plan.files += self._files_of(info)
            if asked and not self._plan.info.raw_cell.rstrip().endswith(info.raw_cell.rstrip()):
                self._note(_NESTED)
            return
        if not asked and not self._every_cell:
            return
        words = [word for line in asked for word in line.split()]
        unknown = [word for word in words if word not in _OPTIONS]
        if unknown:
            self._note(f"%%inplace does not know {unknown[0]!r}; its options are {_LISTED}. {_ALL_THE_SAME}")
        if len(asked) > 1:
            self._note(_TWICE)
        plan = _Plan(
            info=info,
            name="this cell",
            files=self._files_of(info),
            options=frozenset(words),
            asked=bool(asked),
        )
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
            from inplace.capture.record import Recorder

            if not is_static():
                plan.name = next(filter(None, map(cell_name, plan.files)), plan.name)
            if "--verify" in plan.options:
                from inplace.judge.judge import cell_start

                plan.copy = cell_start(plan.files[0], self._source_of(plan.info), self._shell.user_ns)
            recorder = Recorder(
                title=plan.name,
                is_cell=lambda name: name in plan.files or name in TIMED,
                namespace=self._shell.user_ns,
                label=lambda name: self._label(plan, name),
                strict="--strict" in plan.options,
                thorough="--advise" in plan.options,
            )
            if plan.hooks is not None:
                plan.hooks.strip_with(recorder.strip)
            plan.recorder = recorder
            try:
                recorder.start()
            except BaseException:  # a refusal, a fault of ours, or an interrupt: nothing is recorded
                plan.recorder = None
                recorder.undo()
                raise
        except RecordingError as refusal:
            self._note(f"{refusal}. {_ALL_THE_SAME}")
        except Exception as fault:
            self._blame(fault)

    def _label(self, plan: _Plan, file: str) -> str | None:
        if file in TIMED:
            return f"{plan.name} below %%time"
        if file in plan.files:
            return plan.name
        return "an earlier cell" if is_static() and cell_name(file) else cell_name(file)

    # ------------------------------------------------------------ a cell ends

    def _after(self, result: Any) -> None:
        plan = self._plan
        if plan is None:
            error = getattr(result, "error_in_exec", None)
            self._failed = self._failed if error is None else id(error)
            return
        # IPython makes up a result, with another info, where an exception reached it from outside the cell's code.
        if result is not None and result.info is not plan.info and result.info.raw_cell != plan.info.raw_cell:
            return
        self._plan = self._failed = None
        plan.undo()
        try:
            self._finish(plan, getattr(result, "error_in_exec", None))
        except KeyboardInterrupt:
            self._note("the report was interrupted; %inplace why tries again.")
        except Exception as fault:
            self._blame(fault)
        finally:
            _abandon(plan)

    def _finish(self, plan: _Plan, error: BaseException | None) -> None:
        if plan.recorder is None:
            return
        with source_of_timed(plan.info.raw_cell):
            trace = plan.recorder.stop(error)
        if not plan.asked and not trace.calls:
            return
        from inplace.shells.recording import Recording, keep_last

        recording = Recording.of(trace)
        keep_last(recording)
        if plan.copy is not None:
            recording.prove(plan.copy)
        if "--quiet" in plan.options:
            return
        if trace.calls or trace.notes:
            self._show(recording)
        elif error is None:
            self._note(_EMPTY)
        if "--advise" in plan.options and trace.calls:
            self._display({"text/plain": recording.advice()})

    def _show(self, recording: Recording) -> None:
        """Show the recording in every form that the front end may choose from; a terminal has only text."""
        faults: list[Exception] = []
        bar = Bar(is_kept=getattr(self._shell, "kernel", None) is not None)
        with caught(faults):
            recording.look(Progress(bar.show, len(recording.trace.calls)))
        bundle: dict[str, Any] = {"text/plain": str(recording)}
        live: dict[str, Any] = {}
        for form in self._forms():
            with caught(faults):  # the other forms still tell what was found
                found = form(recording)
                (live if WIDGET_VIEW in found else bundle).update(found)
        # JupyterLab shows nothing of a bundle whose widget has gone, so the still picture is an output of its own,
        # which the widget hides while it is there (widget.css).
        shown = [{"text/plain": "", **live}, bundle] if live else [bundle]
        for one in shown if not bar.replace(shown[0]) else shown[1:]:
            self._display(one)
        for fault in faults[:1]:
            self._blame(fault)

    def _forms(self) -> list[Callable[[Recording], dict[str, Any]]]:
        if getattr(self._shell, "kernel", None) is None:
            return []
        return [_still] if is_static() else [_still, _interactive]

    def _display(self, bundle: dict[str, Any]) -> None:
        from IPython.display import display

        display(bundle, raw=True)

    def _note(self, sentence: str) -> None:
        self._display({"text/plain": f"inplace: {sentence}"})

    def _blame(self, fault: Exception) -> None:
        self._note(
            f"the picture is missing or incomplete because of a fault of ours ({type(fault).__name__}: {fault}). "
            "Your cell ran as it does without us; please report it."
        )

    # ------------------------------------------------------------ the magics

    def _cell_magic(self, line: str, cell: str) -> None:
        """Record this cell and show, below its output, what was written in place and what that did to autograd.

        The cell runs exactly as it does without this line. Another cell magic may follow on the next line.

        Options:
            --quiet: show nothing; the recording is `inplace.last`, and `%inplace why` shows it.
            --advise: say which calls could be in place, and what is kept for backward, by bytes.
            --strict: stop at a write that would destroy what a live graph has saved, instead of in backward.
            --verify: replay the cell with the fixes in a process of its own, and say which are proved.
        """
        # Reached by `run_cell_magic` only: above a cell, the line is taken away before IPython looks for magics.
        self._shell.run_cell(f"{MAGIC} {line}".rstrip() + f"\n{cell}")

    def _line_magic(self, line: str) -> None:
        """Record every cell from now on (`%inplace on`), stop doing so (`off`), or explain the last cell (`why`).

        `why` shows the recording again; for a cell that failed without one it says what the live graph tells.
        `example` lists the worked examples; with an id, a topic or a word after it, it puts one into the next cell.
        `claims` runs what is often said about in-place operations and shows what PyTorch does; an id asks for one.
        """
        word, _, rest = line.strip().partition(" ")
        if word in {"claims", "example"}:
            from inplace.examples import answer

            told = answer.claims(rest.strip()) if word == "claims" else answer.example(rest.strip())
            if told.code is not None:
                self._shell.set_next_input(f"{MAGIC}\n{told.code}")
            self._display(told.shown)
        elif rest:
            self._note(_USAGE)
        elif word in {"on", "off"}:
            self._every_cell = word == "on"
        elif word != "why":
            self._note(_USAGE)
        elif (error := getattr(sys, "last_value", None)) is not None and id(error) == self._failed:
            from inplace.shells.notebook.after import explain

            self._note(explain(error, self._shell.user_ns))
        elif (recording := last()) is None:
            self._note(_NO_RECORDING)
        else:
            self._show(recording)


_SESSIONS: dict[Any, _Session] = {}


def _abandon(plan: _Plan) -> None:
    """End a recording that has not ended, and make nothing of it."""
    plan.drop_copy()
    recorder = plan.recorder
    if recorder is not None and type(recorder)._current is recorder:
        recorder.stop()


def _still(recording: Recording) -> dict[str, Any]:
    return {"image/svg+xml": recording.to_svg()}


def _interactive(recording: Recording) -> dict[str, Any]:
    return recording.report.live()
