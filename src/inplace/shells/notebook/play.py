"""Runs the cells of a session again in this process, recorded: `python -m inplace.shells.notebook.play ORDER`.

The order is a JSON file; the answer is written beside it. Nothing else is written: see `judge/fence.py`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from inplace.judge.fence import restrict_writes


def main(order_path: str) -> None:
    """Carry out an order."""
    folder = Path(order_path).parent
    restrict_writes(folder)  # before there are other threads, which it would not reach
    sys.dont_write_bytecode = True
    order = json.loads(Path(order_path).read_text(encoding="utf-8"))
    sys.path[:] = order["path"]
    answer = play([(int(run), str(text)) for run, text in order["cells"]], folder)
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def play(cells: list[tuple[int, str]], folder: Path) -> dict[str, Any]:
    """Run cells, each with the number of its run, in a shell of their own, and say what the last one showed."""
    from inplace.judge.fence import Fence
    from inplace.shells.last import last
    from inplace.shells.notebook.session import Session

    shell = _shell()
    session = Session(shell)
    session.records_every_cell, session.shows = True, False
    fence = Fence(folder)
    result: Any = None
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        fence.on = True
        for run, text in cells:
            shell.execution_count = run
            result = shell.run_cell(text, store_history=True)
        fence.on = False
    error = getattr(result, "error_in_exec", None)
    recording = last()
    return {
        "raised": None if error is None else [type(error).__name__, str(error)],
        "refused": fence.refused,
        "found": bool(recording is not None and recording.report.worst in {"error", "warning"}),
        "text": "" if recording is None else str(recording),
    }


def _shell() -> Any:
    """A shell that keeps nothing and shows nothing."""
    os.environ["MPLBACKEND"] = "Agg"
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell

    HistoryManager.enabled = False
    return InteractiveShell.instance()


if __name__ == "__main__":
    main(sys.argv[1])
