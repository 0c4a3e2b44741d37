"""torch-inplace makes PyTorch's in-place operations visible, and names the line that overwrote what autograd needed.

In a notebook: `%load_ext inplace`, then `%%inplace` above a cell.
In a script: `python -m inplace run SCRIPT`, or `with inplace.record() as recording:`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inplace.analysis.report import Report
    from inplace.model import Trace
    from inplace.public import Recording, analyze, load, record

__all__ = ["Recording", "Report", "Trace", "__version__", "analyze", "last", "load", "record"]

__version__ = "0.1.0"

last: Recording | None = None
"""The recording of the last cell that ran under `%%inplace`."""

# Looked up when first used, so that `import inplace` costs next to nothing.
_HOMES = {
    "Recording": "inplace.public",
    "analyze": "inplace.public",
    "load": "inplace.public",
    "record": "inplace.public",
    "Report": "inplace.analysis.report",
    "Trace": "inplace.model",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'inplace' has no attribute {name!r}")
    return getattr(import_module(home), name)


def load_ipython_extension(shell: Any) -> None:
    """Called by `%load_ext inplace`."""
    import_module("inplace.magic").load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Called by `%unload_ext inplace`."""
    import_module("inplace.magic").unload(shell)
