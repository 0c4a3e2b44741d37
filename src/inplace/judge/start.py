"""What a replay begins from: the text of a script, or copies of the variables that a cell finds."""

from __future__ import annotations

import ast
import io
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import decode_source
from pathlib import Path
from types import CodeType, FunctionType, SimpleNamespace
from typing import Any

import cloudpickle
import torch

from inplace.facts.source_code import SourceCode


@dataclass(frozen=True, slots=True)
class Start:
    """What a replay begins from: a script with its arguments, or a cell with copies of what it found.

    `missing` are variables that could not be copied, each with the reason.
    """

    file: str
    text: str
    argv: tuple[str, ...] | None
    folder: tempfile.TemporaryDirectory[str]
    missing: Mapping[str, str]

    def close(self) -> None:
        """Remove the copies."""
        self.folder.cleanup()


def script_start(file: str, argv: Sequence[str], source: bytes | None = None) -> Start:
    """The beginning of a script; `source` is what was read of it when it ran, if it is not to be read now."""
    text = decode_source(Path(file).read_bytes() if source is None else source)
    return Start(file, text, tuple(argv), tempfile.TemporaryDirectory(prefix="inplace-"), {})


def cell_start(file: str, text: str, namespace: dict[str, Any]) -> Start:
    """The beginning of a cell: copies of the variables that it mentions with their gradients, and the random state."""
    folder: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory(prefix="inplace-")
    missing: dict[str, str] = {}
    kept: dict[str, Any] = {}
    graded: dict[int, torch.Tensor] = {}
    with torch._C.DisableTorchFunction():
        for name in _mentioned(text, namespace):
            why = _why_not(namespace[name], graded)
            if why is None:
                kept[name] = namespace[name]
            else:
                missing[name] = why
        start = {
            "names": kept,
            "grads": [(tensor, tensor.grad) for tensor in graded.values()],
            "globals": _function_of(namespace),
        }
        torch.save(start, Path(folder.name) / "start.pt", pickle_module=_pickling(_Pickler))
        torch.save(_random_state(), Path(folder.name) / "random.pt")
    return Start(file, text, None, folder, missing)


def _mentioned(text: str, namespace: Mapping[str, Any]) -> list[str]:
    """The variables that a cell may read before it sets them itself; functions bring what they use themselves."""
    wanted: dict[str, None] = {}
    bound: set[str] = set()
    for statement in SourceCode(text).tree.body:
        nodes = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        own = {target.id for target in targets if isinstance(target, ast.Name)}
        read = [node.id for node in nodes if not (isinstance(node.ctx, ast.Store) and node.id in own)]
        wanted.update(dict.fromkeys(name for name in read if name not in bound))
        bound |= own
    return [name for name in wanted if name in namespace]


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Copies functions with the name of the file that they are from, which cloudpickle leaves out."""

    def reducer_override(self, item: Any) -> Any:
        if isinstance(item, CodeType):
            make, given = self.dispatch_table[CodeType](item)
            return _with_file, (item.co_filename, make, given)
        return super().reducer_override(item)


def _with_file(file: str, make: Callable[..., CodeType], given: tuple[Any, ...]) -> CodeType:
    return make(*given).replace(co_filename=file)


def _pickling(pickler: type) -> Any:
    """What `torch.save` takes for a module that pickles."""
    return SimpleNamespace(Pickler=pickler, __name__="cloudpickle")


class _GraphError(Exception):
    """A tensor with a `grad_fn` would be copied as a leaf."""


def _why_not(value: Any, graded: dict[int, torch.Tensor]) -> str | None:
    """Why a value can't be copied into another process, None where it can; the tensors in it that have a gradient."""

    class Pickler(_Pickler):
        def reducer_override(self, item: Any) -> Any:
            if isinstance(item, torch.Tensor):
                if item.grad_fn is not None:
                    raise _GraphError
                if item.is_leaf and item.grad is not None:
                    graded[id(item)] = item
            return super().reducer_override(item)

    try:
        torch.save(value, io.BytesIO(), pickle_module=_pickling(Pickler))
    except _GraphError:
        return "carries a graph from an earlier cell, which can't be copied"
    except Exception as refused:
        return f"can't be copied into another process ({type(refused).__name__})"
    return None


def _function_of(namespace: dict[str, Any]) -> FunctionType:
    """A function whose copy has the same global variables as the copies of the user's functions."""
    function = FunctionType((lambda: None).__code__, namespace)
    function.__module__ = "__main__"  # so that it is pickled by value
    return function


def _random_state() -> dict[str, Any]:
    numpy = sys.modules.get("numpy")
    return {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": None if numpy is None else numpy.random.get_state(),
    }
