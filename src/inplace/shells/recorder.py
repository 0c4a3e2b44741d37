"""The recorder of a cell, a block or a script: which files are its code, and what people call them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from inplace.facts.pause import no_collection
from inplace.shells.environment import cell_name, is_static

if TYPE_CHECKING:
    from inplace.capture.carried import Carried
    from inplace.capture.record import Recorder
    from inplace.capture.windows import Windows
    from inplace.facts.model import Trace
    from inplace.shells.windows import WindowsSeen


@no_collection()  # to import all that records is to make what stays
def recorder_of(
    files: Collection[str],
    namespace: Mapping[str, object],
    *,
    title: str,
    timed: Collection[str] = (),
    strict: bool = False,
    thorough: bool = False,
    light: bool = False,
    earlier: Carried | None = None,
    gives_way: bool = False,
    child: tuple[str, int] | None = None,
    windows: Windows | None = None,
) -> Recorder:
    """A recorder, yet to be started, of the code that Python knows by some file names.

    A cell is called what its notebook calls it: `In[3]`, or `this cell` and `an earlier cell` where outputs are to be
    the same from run to run.

    Args:
        files: the names; more may be added while the recording goes on.
        namespace: where the code's variables are.
        title: what people are shown as the name of code that is no notebook's cell.
        timed: the names of what `%%time` compiles.
        strict: whether a write that would destroy a save is stopped.
        thorough: whether to look at the graph before every backward.
        light: whether to note versions, saves and writes only.
        earlier: what the recording before it in the same session has handed on; None where there is no session.
        gives_way: whether another recording that begins in the code ends this one, and is not refused.
        child: how this process was started and the id of the one whose recording it is a child of; None for no child.
        windows: how what is over is let go of, in a session; None to keep every call.
    """
    from inplace.capture.record import Recorder

    cell = next(filter(None, map(cell_name, files)), None)
    own = title if cell is None else "this cell" if is_static() else cell

    def label(file: str) -> str | None:
        if file in files:
            return own
        if file in timed:
            return f"{own} below %%time"
        other = cell_name(file)
        return "an earlier cell" if other is not None and is_static() else other

    return Recorder(
        title=own,
        is_cell=lambda file: file in files or file in timed,
        namespace=namespace,
        label=label,
        strict=strict,
        thorough=thorough,
        light=light,
        earlier=earlier,
        gives_way=gives_way,
        child=child,
        windows=windows,
    )


def trace_of_failure(error: BaseException, namespace: Mapping[str, object]) -> Trace:
    """What an exception tells that has ended a cell which was not recorded."""
    from inplace.capture.autopsy import autopsy

    files: list[str] = []
    entry = error.__traceback__
    while entry is not None:
        file = entry.tb_frame.f_code.co_filename
        files += [file] if cell_name(file) is not None else []
        entry = entry.tb_next
    own = files[0] if files else ""
    return autopsy(
        error,
        namespace,
        title=(cell_name(own) or "the cell") if own else "the cell",
        is_cell=lambda file: file == own,
        label=cell_name,
    )


def windows_seen(window: float | None) -> WindowsSeen | None:
    """What looks at the windows of a recording that keeps so many megabytes; None where it keeps every call."""
    if window is None:
        return None
    from inplace.shells.keep import calls_of
    from inplace.shells.windows import WindowsSeen

    return WindowsSeen(calls_of(window))


def kept_by(seen: WindowsSeen | None, earlier: Carried | None = None) -> dict[str, Any]:
    """What a recorder is given to let go of what is over, in a session that may have begun `earlier`."""
    if seen is None:
        return {"earlier": earlier, "windows": None}
    return {
        "earlier": earlier or nothing_carried(),
        "windows": windows_of(seen.calls, seen.told, are_of_cell=earlier is not None),
    }


def windows_of(calls: int, told: Callable[[Trace, Trace], None], *, are_of_cell: bool = False) -> Windows:
    """Windows of so many calls of a cell of a notebook, or of other code; `told` hears of each but the last."""
    from inplace.capture.windows import Windows

    return Windows(calls, told, are_of_cell)


def nothing_carried() -> Carried:
    """What the first recording of a session begins with."""
    from inplace.capture.carried import Carried

    return Carried()
