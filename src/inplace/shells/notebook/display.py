"""What is shown below a cell: sentences, and a recording in every form that the front end may choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from inplace.facts.progress import Progress
from inplace.shells.environment import WIDGET_VIEW, has_kernel, is_static

if TYPE_CHECKING:
    from inplace.shells.explanation import Explanation
    from inplace.shells.recording import Recording


def put(bundle: dict[str, Any]) -> None:
    """Display something in the forms that it has."""
    from IPython.display import display

    display(bundle, raw=True)


def note(sentence: str) -> None:
    """Say something."""
    put({"text/plain": f"inplace: {sentence}"})


def blame(fault: Exception) -> None:
    """Say that a fault of ours has ended our work."""
    note(
        f"the picture is missing or incomplete because of a fault of ours ({type(fault).__name__}: {fault}). "
        "Your cell ran as it does without us; please report it."
    )


def tell_text(recording: Recording | None, before: Recording | None, *, quiet: bool) -> None:
    """Show the text of a recording that is not the one `before`, where a proof or a picture of it could not be made."""
    if recording is not None and recording is not before and recording.is_explained and not quiet:
        put({"text/plain": str(recording)})


def show(recording: Recording, shell: Any, bar: Bar | None = None) -> None:
    """Show a recording in every form that the front end of `shell` may choose from; a terminal has only text.

    `bar` is the line that has said how far we are until now, which the end takes the place of.
    """
    faults: list[Exception] = []
    bar = bar or Bar(is_kept=is_moving(shell))
    with caught(faults):
        recording.look(Progress(bar.show, f"looking at {len(recording.trace.calls):,} calls"))
    explanation = recording.report
    bundle: dict[str, Any] = {"text/plain": str(explanation)}
    live: dict[str, Any] = {}
    for form in forms(shell):
        with caught(faults):  # the other forms still tell what was found
            found = form(explanation)
            (live if WIDGET_VIEW in found else bundle).update(found)
    # JupyterLab shows nothing of a bundle whose widget has gone, so the still picture is an output of its own,
    # which the widget hides while it is there (widget.css). A front end without widgets shows the line and the picture.
    shown = [{"text/plain": f"inplace: {_summary(bundle)}", **live}, bundle] if live else [bundle]
    for one in shown if not bar.replace(shown[0]) else shown[1:]:
        put(one)
    for fault in faults[:1]:
        blame(fault)


def _summary(bundle: dict[str, Any]) -> str:
    return str(bundle["text/plain"]).strip().rpartition("\n")[2]


def forms(shell: Any) -> list[Callable[[Explanation], dict[str, Any]]]:
    """What gives the forms that a front end may choose from beside text."""
    from inplace.shells.explanation import Explanation

    if not has_kernel(shell):
        return []
    return [Explanation.still] if is_static() else [Explanation.still, Explanation.live]


def is_moving(shell: Any) -> bool:
    """Whether what is shown may change later; not where outputs are to be the same from run to run."""
    return has_kernel(shell) and not is_static()


class Bar:
    """A line that says how far we are, and becomes what is shown in the end; a terminal keeps it as a line."""

    def __init__(self, *, is_kept: bool) -> None:
        self._is_kept = is_kept
        self._handle: Any = None

    def show(self, text: str) -> None:
        """Show a line in place of the one before."""
        if not self._is_kept:
            return
        from IPython.display import display

        shown = {"text/plain": text}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)

    def replace(self, bundle: dict[str, Any]) -> bool:
        """Show the end in place of the line; False where none was shown."""
        if self._handle is None:
            return False
        self._handle.update(bundle, raw=True)
        return True


@contextmanager
def caught(faults: list[Exception]) -> Iterator[None]:
    """Put the exception that ends the block into a list and go on."""
    try:
        yield
    except Exception as fault:
        faults.append(fault)
