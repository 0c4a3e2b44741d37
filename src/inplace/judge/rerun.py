"""Runs a script or cell again, and says what came of it."""

from __future__ import annotations

import contextlib
import importlib.machinery
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import torch

from inplace.capture.bytes.readable import is_covered
from inplace.capture.code.names import scan
from inplace.capture.patches.ledger import Ledger, Put
from inplace.capture.record import Recorder
from inplace.fixes.diagnose import analyze
from inplace.judge.about import abouts
from inplace.judge.allowed_calls import AllowedCalls
from inplace.judge.apart import apart
from inplace.judge.backwards_seen import BackwardsSeen
from inplace.judge.differences import differences
from inplace.judge.fence.marks import BEGUN, ENDED
from inplace.judge.put_in import PutIn
from inplace.judge.redefined import redefine


@dataclass(slots=True)
class _Reached:
    """What was there when the backward that matters began: what had been printed, values by name, the random state."""

    namespace: dict[str, Any]
    printed: Path
    found: dict[str, Any] | None = None

    def note(self) -> None:
        """Take it down."""
        sys.stdout.flush()
        values = {path: _copy(one) for path, one in scan(self.namespace) if isinstance(one, torch.Tensor)}
        text = self.printed.read_text(encoding="utf-8", errors="replace")
        self.found = {"values": values, "printed": text, "random": torch.get_rng_state()}


def rerun(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run the code of an order; what came of it.

    By its `mode` it runs as it is, with our analysis (`plain`); with every saved tensor a copy (`twin`); so, and what
    autograd refuses done without it (`allowed`); without autograd, up to its first backward (`values`); or again and
    again, for finite differences (`differences`).
    """
    ledger = Ledger()  # never undone: the process ends with it
    _read_instead(order["texts"], ledger)
    printed = folder / "printed"
    os.dup2(os.open(printed, os.O_CREAT | os.O_WRONLY | os.O_APPEND), 1)
    if order["mode"] == "differences":
        return _differences(order, folder)
    namespace = _namespace(order, folder)
    _seed(folder)
    reached = _Reached(namespace, printed)
    seen = BackwardsSeen(order["backward"], reached.note, retains=order["mode"] == "allowed")
    allowed = AllowedCalls()
    context, recorder = _context(order, namespace, allowed)
    raised: BaseException | None = None
    (folder / BEGUN).touch()
    try:
        with seen, context:
            _execute(order, namespace)
    except BaseException as error:  # a SystemExit is an end like another
        raised = None if isinstance(error, SystemExit) else error
    (folder / ENDED).touch()
    return {
        "raised": None if raised is None else [type(raised).__name__, str(raised)],
        "findings": [] if recorder is None else [one.to_dict() for one in abouts(analyze(recorder.trace))],
        "entered": seen.entered,
        "let": allowed.let if order["mode"] == "allowed" else None,
        "reached": reached.found,
        **_state(namespace, seen),
    }


def _context(order: dict[str, Any], namespace: dict[str, Any], allowed: AllowedCalls) -> tuple[Any, Recorder | None]:
    """What the code is run under, and the recorder if that is it."""
    if order["mode"] == "allowed":
        both = contextlib.ExitStack()
        both.enter_context(_copied())
        both.enter_context(allowed)
        return both, None
    if order["mode"] == "twin":
        return _copied(), None
    if order["mode"] == "values":
        return torch.no_grad(), None
    file = order["file"]
    recorder = Recorder(title="replay", is_cell=lambda name: name == file, namespace=namespace)
    return recorder, recorder


def _copied() -> Any:
    """Has every saved tensor be a copy."""
    return torch.autograd.graph.saved_tensors_hooks(lambda saved: saved.detach().clone(), lambda kept: kept)


def _execute(order: dict[str, Any], namespace: dict[str, Any]) -> None:
    exec(compile(order["texts"][order["file"]], order["file"], "exec", dont_inherit=True), namespace)


def _differences(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The gradient of one backward against finite differences; each run begins anew, in a process of its own."""
    (folder / BEGUN).touch()

    def begin() -> Callable[[], None]:
        def run() -> None:
            with _copied() if order["copies"] else contextlib.nullcontext():
                _execute(order, namespace)

        namespace = _namespace(order, folder)
        _double(namespace)
        torch.set_default_dtype(torch.float64)  # from here on: `torch.load` refuses it
        _seed(folder)
        return run

    files = {one["file"]: PutIn.of_dict(one) for one in order["put_in"]}
    found = differences(begin, order["backward"], lambda work: apart(work, folder / "run.pt"), files)
    (folder / ENDED).touch()
    return found


def _double(namespace: dict[str, Any]) -> None:
    """Have the variables of a cell in double precision; those that share bytes share them still."""
    doubled: dict[int, torch.Tensor] = {}
    for _, value in scan(namespace):
        if not isinstance(value, torch.Tensor) or value.dtype is not torch.float32 or value.is_inference():
            continue
        gradient = value.grad if value.is_leaf else None
        storage = value.untyped_storage()
        if storage._cdata not in doubled:
            whole = torch.empty(0, dtype=torch.float32, device=value.device).set_(storage)  # type: ignore[call-overload]
            doubled[storage._cdata] = whole.double()
        value.data = doubled[storage._cdata].as_strided(value.shape, value.stride(), value.storage_offset())
        if gradient is not None:
            value.grad = gradient.double()


def _state(namespace: dict[str, Any], seen: BackwardsSeen) -> dict[str, Any]:
    """Values and gradients at the end: by name where a variable reaches the tensor, else in the order they were met."""
    values, grads, named, trained = {}, {}, set(), []
    for path, value in scan(namespace):
        if isinstance(value, torch.Tensor):
            named.add(id(value))
            values[path] = _copy(value)
            if _is_leaf(value):
                grads[path] = _copy(value.grad)
            if id(value) in seen.reached:
                trained.append(path)
    others = [tensor for tensor in seen.met if id(tensor) not in named]
    return {
        "values": values,
        "grads": grads,
        "other_values": [_copy(tensor) for tensor in others],
        "other_grads": [_copy(tensor.grad) if _is_leaf(tensor) else None for tensor in others],
        "trained": trained,
        "reached_in_all": len(seen.reached),
        "steps": seen.steps,
        "given": seen.given,
        "roots": seen.roots,
    }


def _is_leaf(tensor: torch.Tensor) -> bool:
    """Whether a gradient may be gathered in a tensor; not for a view of a leaf that a refused write left half made."""
    try:
        return tensor.requires_grad and tensor.is_leaf and not (tensor._base is not None and tensor._base.requires_grad)
    except RuntimeError:  # such a view can't even be asked
        return False


def _copy(tensor: torch.Tensor | None) -> torch.Tensor | None:
    """A copy of a tensor; none of one whose storage was emptied or cut."""
    return None if tensor is None or not is_covered(tensor) else tensor.detach().clone()


def _namespace(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What the code is to run in: a new main module, with what a cell had to begin with."""
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    namespace = module.__dict__
    namespace["__builtins__"] = __builtins__
    if order["argv"] is not None:
        namespace["__file__"] = order["file"]
        sys.argv[:] = order["argv"]
        sys.path[0] = str(Path(order["file"]).resolve().parent)
    else:
        sys.path[:] = order["path"]
    start = folder.parent / "start.pt"
    if not start.exists():
        return namespace
    found = torch.load(start, weights_only=False)
    # In this the copies of the user's functions look their names up, so the cell has to run in it.
    copied: dict[str, Any] = found["globals"].__globals__
    for names in (namespace, copied):
        names.update({**namespace, **found["names"]})
    for tensor, gradient in found["grads"]:
        tensor.grad = gradient
    for file in order["redefined"]:
        redefine(file, order["texts"][file])
    return copied


def _seed(folder: Path) -> None:
    """Every replay begins in the same random state: that of the cell, or one of our own."""
    state = folder.parent / "random.pt"
    if state.exists():
        found = torch.load(state, weights_only=False)
        torch.set_rng_state(found["torch"])
        random.setstate(found["python"])
        if found["numpy"] is not None:
            import numpy as np

            np.random.set_state(found["numpy"])
        return
    random.seed(0)
    torch.manual_seed(0)
    with contextlib.suppress(ImportError):
        import numpy as np

        np.random.seed(0)


def _read_instead(texts: dict[str, str], ledger: Ledger) -> None:
    """Let imports of rewritten files, and tracebacks and recordings of all of them, read the given texts."""
    import linecache

    for file, text in texts.items():
        ledger.make(Put(linecache.cache, file, (len(text), None, text.splitlines(keepends=True), file)))

    def rewriting(found: Any) -> Any:
        def get_code(self: Any, name: str) -> CodeType:
            path = self.get_filename(name)
            text = texts.get(path)
            code: CodeType = found(self, name) if text is None else compile(text, path, "exec", dont_inherit=True)
            return code

        return get_code

    ledger.replace(importlib.machinery.SourceFileLoader, "get_code", rewriting)
