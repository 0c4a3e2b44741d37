"""What we run in: the IPython around us, if any, and what the environment asks of our outputs."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

STATIC = "INPLACE_STATIC"
"""Environment variable: where it is set and not `0`, outputs compare equal from run to run: no widget is shown (each
has an id of its own), and a cell is called `this cell` instead of `In[3]` (tools such as nbval don't count cells).
"""

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
"""The MIME type of a widget that a kernel keeps alive."""


def is_static() -> bool:
    """Whether pictures are to be still ones only, the same from run to run."""
    return os.environ.get(STATIC, "0") not in {"", "0"}


def running_shell() -> Any:
    """The IPython that we run in; None where there is none."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def has_kernel(shell: Any) -> bool:
    """Whether an IPython talks to a front end, as against a terminal."""
    return getattr(shell, "kernel", None) is not None


def in_marimo(widget: Any) -> Any:
    """A widget as marimo shows one; the widget itself elsewhere."""
    marimo = sys.modules.get("marimo")
    return widget if marimo is None else marimo.ui.anywidget(widget)


def cell_name(file: str) -> str | None:
    """What a notebook calls the cell that Python knows by a file name; None for real files, and without a notebook."""
    marimo = _MARIMO.search(file)
    if marimo is not None:
        return f"cell {marimo[1]}"
    shell = running_shell()
    if shell is None:
        return None
    named = getattr(shell.compile, "format_code_name", None)
    if named is None:
        number = _run_of(shell, file)
        return None if number is None else f"In[{number}]"
    told = named(file)
    return str(told[1]) if told else None


def _run_of(shell: Any, file: str) -> int | None:
    """The last run of the cell with a file name, from an IPython that doesn't tell (7, as Colab has it)."""
    numbered = _NUMBERED.fullmatch(file)
    if numbered is not None:
        return int(numbered[1])
    texts = list(getattr(shell.history_manager, "input_hist_raw", ()))
    for number in reversed(range(1, len(texts))):
        text = texts[number]  # without the lines' ends at its end
        if file in {str(shell.compile.get_code_name(raw, raw, number)) for raw in (text, text + "\n")}:
            return number
    return None


def running_cell() -> tuple[str, object]:
    """The id of the notebook cell that runs, and a value that is another in each run of it; empty where none is known.

    Front ends send the id with the request (JEP 62: Cell ID).
    """
    parent: dict[str, Any] = getattr(running_shell(), "get_parent", dict)() or {}
    return str(parent.get("metadata", {}).get("cellId", "")), parent.get("header", {}).get("msg_id")


_MARIMO = re.compile(r"__marimo__cell_(\w+?)_?(?:\.py)?$")
_NUMBERED = re.compile(r"<ipython-input-(\d+)-\w+>")
