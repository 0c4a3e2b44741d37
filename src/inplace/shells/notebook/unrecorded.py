"""`%inplace why` for a cell that failed without a recording, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from inplace.shells.environment import cell_name
from inplace.shells.notebook.played import played

_RUN_AGAIN = (
    "To see the line that overwrote it, put %%inplace above the cell (above each, if it is several) and run again."
)
_INSTEAD = "Whoever wrote it has to write out of place or to a clone, or after backward()."
_FURTHER = "For the lines that led to it, put %%inplace above the cell (above each, if it is several) and run again."
_MOST = 5
_OF_CALLS = (RuntimeError, ValueError, TypeError, IndexError)  # what a call of PyTorch may raise


def explain(error: BaseException, shell: Any, seconds: Mapping[int, float]) -> str:
    """Why a cell has failed: from a second run of the session in a closed process, else from what is alive now.

    Args:
        error: what the cell ended with.
        shell: the shell that ran it.
        seconds: how long its cells ran, by the number of their run.
    """
    run = failed_run(error) if isinstance(error, _OF_CALLS) else None
    texts = list(getattr(shell.history_manager, "input_hist_raw", ()))
    if run is None or run >= len(texts):
        return _alive(error, shell.user_ns)
    cells = [(number, texts[number]) for number in range(1, run + 1)]
    again = played(cells, error, sum(seconds.get(number, 0.0) for number, _ in cells))
    first = next((number for number, text in cells if text.strip()), run)
    offer = f"To see it as a picture, type %inplace again {first}-{run} and run the cell that appears."
    if again.text is None:
        return f"{_alive(error, shell.user_ns)}\n({again.why_not[0].upper()}{again.why_not[1:]}.)"
    which = f"In[{first}]" if first == run else f"In[{first}] to In[{run}]"
    ended = f"{which} ran again, recorded, in a closed process, and ended with the same error."
    return f"{ended}\n\n{again.text}\n\n{offer}"


def failed_run(error: BaseException) -> int | None:
    """The run of the cell that an exception left last, None where it left none."""
    return next(iter([number for name in _cells(error) if (number := _number(name)) is not None]), None)


def _cells(error: BaseException) -> Iterator[str]:
    entry = error.__traceback__
    while entry is not None:
        name = cell_name(entry.tb_frame.f_code.co_filename)
        if name is not None:
            yield name
        entry = entry.tb_next


def _number(name: str) -> int | None:
    digits = name.removeprefix("In[").removesuffix("]").strip()
    return int(digits) if digits.isdigit() else None


def _of_line(error: BaseException, namespace: Mapping[str, object]) -> str:
    """What is told of an exception by its line and the variables there; empty where that says nothing of tensors."""
    from inplace.fixes.diagnose import analyze
    from inplace.render.words.telling import headline, message
    from inplace.shells.recorder import trace_of_failure

    report = analyze(trace_of_failure(error, namespace))
    loud = [message(one, report.trace) for one in report.findings if one.severity != "info"]
    return "\n".join(loud or [headline(one, report.trace) for one in report.findings[:1]])


def _alive(error: BaseException, namespace: Mapping[str, object]) -> str:
    """What can be told of an exception now, from the live graph, and how to learn the rest."""
    from inplace.capture.graph.postmortem import is_stale_save, stale_nodes

    kind = type(error).__name__
    if not is_stale_save(error):
        shown = _of_line(error, namespace)
        if shown:
            return f"the last cell was not recorded. What its error and its variables show:\n{shown}\n{_FURTHER}"
        return (
            f"the last cell ended with {kind}, and was not recorded. "
            "If a tensor or its gradient is behind it, put %%inplace above the cell and run it again."
        )
    found = stale_nodes(error, namespace).found
    if not found:
        return (
            "backward() was refused because a tensor saved for it was overwritten. "
            f"The graph is gone, so no more can be told now. {_RUN_AGAIN}"
        )
    told = []
    for one in found[:_MOST]:
        shape = "x".join(map(str, one.shape)) or "a scalar"
        names = f" Its bytes are now reached as {', '.join(one.names[:_MOST])}." if one.names else ""
        told.append(
            f"{one.node} saved `{one.saved}` ({shape}), which was overwritten: its version is {one.version} now.{names}"
        )
    if len(found) > _MOST:
        told.append(f"{len(found) - _MOST} more nodes have a save that was overwritten.")
    return "\n".join(["backward() was refused. The graph is still alive, and shows why:", *told, _INSTEAD, _RUN_AGAIN])
