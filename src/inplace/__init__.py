"""torch-inplace makes PyTorch's in-place operations visible, and names the line that overwrote what autograd needed.

In a notebook: `%load_ext inplace`, then `%%inplace` above a cell.
In a script: `python -m inplace run SCRIPT`, or `with inplace.record() as recording:`.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from inplace.facts.pause import no_collection as _no_collection
from inplace.facts.version import __version__

if TYPE_CHECKING:
    from inplace.checks.report import Report
    from inplace.facts.model import Trace
    from inplace.shells.python import analyze, load, record
    from inplace.shells.recording import Recording
    from inplace.shells.terminal.enabled import enable
    from inplace.shells.training.hugging_face import hugging_face_callback
    from inplace.shells.training.lightning import lightning_callback
    from inplace.shells.training.steps import steps

__all__ = [
    "Recording",
    "Report",
    "Trace",
    "__version__",
    "analyze",
    "enable",
    "hugging_face_callback",
    "last",
    "lightning_callback",
    "load",
    "record",
    "steps",
]

last: Recording | None
"""The recording of the last cell that ran under `%%inplace`; None before."""

# Looked up when first used, so that `import inplace` costs next to nothing.
_HOMES = {
    "Recording": "inplace.shells.recording",
    "analyze": "inplace.shells.python",
    "enable": "inplace.shells.terminal.enabled",
    "hugging_face_callback": "inplace.shells.training.hugging_face",
    "lightning_callback": "inplace.shells.training.lightning",
    "load": "inplace.shells.python",
    "record": "inplace.shells.python",
    "steps": "inplace.shells.training.steps",
    "Report": "inplace.checks.report",
    "Trace": "inplace.facts.model",
}


def __getattr__(name: str) -> Any:
    if name == "last":
        return import_module("inplace.shells.last").last()
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'inplace' has no attribute {name!r}")
    # What is imported stays: a collection meanwhile would go over all of torch's objects, and find none to let go of.
    return getattr(_no_collection()(import_module)(home), name)


def load_ipython_extension(shell: Any) -> None:
    """Called by `%load_ext inplace`."""
    import_module("inplace.shells.notebook.extension").install(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Called by `%unload_ext inplace`."""
    import_module("inplace.shells.notebook.extension").uninstall(shell)


if os.environ.get("INPLACE"):  # a script that imports us may be asked to record itself
    import_module("inplace.shells.terminal.enabled").enable_by_variable(sys._getframe(1))
