"""What we run in: the IPython around us, if any, and what the environment asks of our outputs."""

from __future__ import annotations

import os
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


def cell_name(file: str) -> str | None:
    """What a notebook calls the cell that Python knows by a file name; None for real files, and without a notebook."""
    shell = running_shell()
    named = shell.compile.format_code_name(file) if shell is not None else None
    return str(named[1]) if named else None


def running_cell() -> tuple[str, object]:
    """The id of the notebook cell that runs, and a value that is another in each run of it; empty where none is known.

    Front ends send the id with the request (JEP 62: Cell ID).
    """
    parent: dict[str, Any] = getattr(running_shell(), "get_parent", dict)() or {}
    return str(parent.get("metadata", {}).get("cellId", "")), parent.get("header", {}).get("msg_id")
