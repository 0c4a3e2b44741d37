"""Runs a script or cell again in this process, for `verify`: `python -m inplace.replay ORDER`.

The order is a JSON file; the answer is written beside it. Nothing else is written: whatever would write a file, start a
process or open a connection is refused, and the replay then proves nothing.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import json
import os
import random
import sys
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_REFUSED = frozenset(
    [
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.mkdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
        "os.chown",
        "os.fork",
        "os.forkpty",
        "os.exec",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "os.system",
        "subprocess.Popen",
        "shutil.copyfile",
        "shutil.move",
        "shutil.rmtree",
        "socket.connect",
        "socket.bind",
        "socket.sendto",
    ]
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class RefusedError(PermissionError):
    """What a replay may not do."""


def main(order_path: str) -> int:
    """Carry out an order; gives the exit status."""
    folder = Path(order_path).parent
    order = json.loads(Path(order_path).read_text(encoding="utf-8"))
    sys.dont_write_bytecode = True
    import torch

    from inplace.analysis import analyze
    from inplace.analysis.rewrite import rewrites  # noqa: F401  # imported before files are guarded
    from inplace.capture.names import scan
    from inplace.capture.record import Recorder

    namespace = _namespace(order, folder)
    _seed(folder)
    _read_instead(order["texts"])
    guard = _Guard(folder)
    file = order["file"]
    code = compile(order["texts"][file], file, "exec", dont_inherit=True)
    raised: BaseException | None = None
    recorder = None
    if order["twin"]:
        context: Any = torch.autograd.graph.saved_tensors_hooks(lambda saved: saved.detach().clone(), lambda kept: kept)
    else:
        context = recorder = Recorder(title="replay", is_cell=lambda name: name == file, namespace=namespace)
    guard.on = True
    try:
        with context:
            exec(code, namespace)
    except BaseException as error:  # a SystemExit is an end like another
        raised = None if isinstance(error, SystemExit) else error
    guard.on = False
    grads = {}
    for path, value in scan(namespace):
        if isinstance(value, torch.Tensor) and value.is_leaf and value.requires_grad:
            grads[path] = None if value.grad is None else value.grad.detach().clone()
    found = [
        [finding.kind, finding.severity]
        for finding in (analyze(recorder.trace).findings if recorder is not None else ())
        if finding.severity != "info"
    ]
    answer = {
        "raised": None if raised is None else [type(raised).__name__, str(raised)],
        "refused": guard.refused,
        "findings": found,
        "grads": grads,
    }
    torch.save(answer, folder / "answer.pt")
    return 0


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
    if start.exists():
        import torch

        namespace.update(torch.load(start, weights_only=False))
    return namespace


def _seed(folder: Path) -> None:
    """Every replay begins in the same random state: that of the cell, or one of our own."""
    import torch

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


def _read_instead(texts: dict[str, str]) -> None:
    """Let imports of rewritten files, and tracebacks and recordings of all of them, read the given texts."""
    import linecache

    for file, text in texts.items():
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    loader: Any = importlib.machinery.SourceFileLoader
    found = loader.get_code

    def get_code(self: Any, name: str) -> CodeType:
        path = self.get_filename(name)
        code: CodeType = compile(texts[path], path, "exec", dont_inherit=True) if path in texts else found(self, name)
        return code

    loader.get_code = get_code


class _Guard:
    """Refuses what would be felt outside, by Python's audit events, while it is on."""

    def __init__(self, folder: Path) -> None:
        self.on = False
        self.refused: str | None = None
        self._folder = str(folder)
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or (arguments and str(arguments[0]).startswith(self._folder)):
            return
        if event in _REFUSED or (event == "open" and self._writes(*arguments)):
            self.refused = self.refused or f"{event} {arguments[0] if arguments else ''}".strip()
            raise RefusedError(f"a replay may not do this: {self.refused}")

    def _writes(self, path: Any, mode: Any, flags: Any) -> bool:
        is_file = not isinstance(path, int) and str(path) != os.devnull
        return bool(is_file and isinstance(flags, int) and flags & _WRITING)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
