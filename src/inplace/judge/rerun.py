"""Runs a script or cell again, and says what came of it."""

from __future__ import annotations

import contextlib
import importlib.machinery
import random
import sys
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import torch

from inplace.capture.bytes.readable import is_covered
from inplace.capture.code.names import scan
from inplace.capture.patches.ledger import Ledger, Put
from inplace.capture.record import Recorder
from inplace.facts.model import Trace
from inplace.fixes.candidate import Look
from inplace.fixes.diagnose import analyze
from inplace.fixes.proposals import proposals
from inplace.judge.backwards_seen import BackwardsSeen
from inplace.judge.fence.marks import BEGUN, ENDED


def rerun(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Carry out an order."""
    namespace = _namespace(order, folder)
    _seed(folder)
    ledger = Ledger()  # never undone: the process ends with it
    _read_instead(order["texts"], ledger)
    seen = BackwardsSeen()
    file = order["file"]
    code = compile(order["texts"][file], file, "exec", dont_inherit=True)
    raised: BaseException | None = None
    recorder = None
    if order["twin"]:
        context: Any = torch.autograd.graph.saved_tensors_hooks(lambda saved: saved.detach().clone(), lambda kept: kept)
    else:
        context = recorder = Recorder(title="replay", is_cell=lambda name: name == file, namespace=namespace)
    (folder / BEGUN).touch()
    try:
        with seen, context:
            exec(code, namespace)
    except BaseException as error:  # a SystemExit is an end like another
        raised = None if isinstance(error, SystemExit) else error
    (folder / ENDED).touch()
    return {
        "raised": None if raised is None else [type(raised).__name__, str(raised)],
        **_found(recorder.trace if recorder is not None else None),
        **_state(namespace, seen),
    }


def _found(trace: Trace | None) -> dict[str, Any]:
    """What is wrong with the run, and the likeliest change that would mend the worst of it."""
    if trace is None:
        return {"findings": [], "following": None}
    report = analyze(trace)
    loud = [finding for finding in report.findings if finding.severity != "info"]
    look = Look(report.index)
    ways = [one.rewrite for finding in loud[:1] for one in proposals(look, finding)[:1]]
    return {
        "findings": [[finding.kind, finding.severity] for finding in loud],
        "following": [ways[0].file, ways[0].line, ways[0].old, ways[0].new] if ways else None,
    }


def _state(namespace: dict[str, Any], seen: BackwardsSeen) -> dict[str, Any]:
    """Values and gradients at the end: by name where a variable reaches the tensor, else in the order they were met."""
    values, grads, named = {}, {}, set()
    for path, value in scan(namespace):
        if isinstance(value, torch.Tensor):
            named.add(id(value))
            values[path] = _copy(value)
            if _is_leaf(value):
                grads[path] = _copy(value.grad)
    others = [tensor for tensor in seen.met if id(tensor) not in named]
    return {
        "values": values,
        "grads": grads,
        "other_values": [_copy(tensor) for tensor in others],
        "other_grads": [_copy(tensor.grad) if _is_leaf(tensor) else None for tensor in others],
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
