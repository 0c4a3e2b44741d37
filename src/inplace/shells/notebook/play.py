"""Runs the cells of a session again in this process, recorded: `python -m inplace.shells.notebook.play FOLDER`.

The order is a file in the folder, and the answer is written beside it. The process is fenced before it begins: see
NOTE [ The fence ].
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from inplace.judge.fence.marks import BEGUN, ENDED
from inplace.judge.fence.obey import obey

ANSWER = "answer.json"


def carry_out(order: dict[str, Any], folder: Path) -> None:
    """Run the cells of an order, and write down what the last one showed."""
    sys.path[:] = order["path"]
    answer = play([(int(run), str(text)) for run, text in order["cells"]], folder)
    (folder / ANSWER).write_text(json.dumps(answer), encoding="utf-8")


def play(cells: list[tuple[int, str]], folder: Path) -> dict[str, Any]:
    """Run cells, each with the number of its run, in a shell of their own, and say what the last one showed."""
    from inplace.shells.last import last
    from inplace.shells.notebook.session import Session

    shell = _shell(folder)
    session = Session(shell)
    session.records_every_cell, session.shows = True, False
    result: Any = None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        (folder / BEGUN).touch()
        for run, text in cells:
            shell.execution_count = run
            result = shell.run_cell(text, store_history=True)
        (folder / ENDED).touch()
    error = getattr(result, "error_in_exec", None)
    recording = last()
    return {
        "raised": None if error is None else [type(error).__name__, str(error)],
        "found": bool(recording is not None and recording.report.worst in {"error", "warning"}),
        "text": "" if recording is None else str(recording),
    }


def _shell(folder: Path) -> Any:
    """A shell that keeps nothing and shows nothing."""
    os.environ.update(MPLBACKEND="Agg", MPLCONFIGDIR=str(folder), IPYTHONDIR=str(folder))
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell

    HistoryManager.enabled = False
    return InteractiveShell.instance()


if __name__ == "__main__":
    obey(Path(sys.argv[1]), ANSWER, carry_out)
