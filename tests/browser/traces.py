"""Traces to draw: recorded from a few lines of code, or built by hand where a hundred thousand calls are needed."""

from __future__ import annotations

import linecache
import sys
import types
from pathlib import Path

from msgspec.structs import replace

from inplace.checks.finding import Victim
from inplace.checks.report import Report
from inplace.checks.saved_tensor_modified import StaleSave
from inplace.facts.model import (
    Argument,
    Call,
    CounterId,
    Edge,
    Function,
    GradMode,
    GraphWalk,
    Kind,
    Layout,
    Name,
    Node,
    NodeId,
    Position,
    SavedTensor,
    SavedUse,
    Site,
    Source,
    Stack,
    StackFrame,
    StateId,
    Storage,
    StorageId,
    Tensor,
    TensorId,
    TensorState,
    Trace,
)
from inplace.fixes.diagnose import analyze
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

README = """\
import torch
a = torch.tensor([1., 2., 3.])
b = a
c = a[1:]
a.add_(10)
x = torch.linspace(-1, 1, 3, requires_grad=True)
h = torch.sigmoid(x)
g = h.relu_()
g.sum().backward()
"""


def record(code: str, file: str = "<cell>", title: str = "In[3]", **names: object) -> Report:
    """Run some code under the recorder, as a cell, and analyse what it did; what it raises is in the trace."""
    from inplace.capture.record import Recorder

    module = types.ModuleType("__main__")
    module.__dict__.update(names)
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    recorder = Recorder(
        title=title, is_cell=lambda name: name == file, namespace=module.__dict__,
        label=lambda name: title if name == file else None,
    )  # fmt: skip
    real = sys.modules["__main__"]
    sys.modules["__main__"] = module
    error: BaseException | None = None
    recorder.start()
    try:
        exec(compile(code, file, "exec"), module.__dict__)
    except Exception as raised:
        error = raised
    finally:
        trace = recorder.stop(error)
        sys.modules["__main__"] = real
    return analyze(trace)


def record_file(path: Path) -> Report:
    """Run a script under the recorder and analyse what it did."""
    return record(path.read_text(encoding="utf-8"), file=str(path), title=path.name)


BIG = """\
import torch

x = torch.randn(4, requires_grad=True)
total = torch.zeros(4)
for step in range(ROUNDS):
    y = x * 2
    y = y.exp()
    total.add_(y.detach())
h = x.sigmoid()
h.mul_(3)
h.sum().backward()
"""

_SITES = (
    (3, 4, 38), (4, 8, 22), (6, 8, 13), (7, 8, 15), (8, 15, 25), (8, 4, 26),
    (9, 4, 15), (10, 0, 9), (11, 0, 7), (11, 0, 18),
)  # fmt: skip
_LABELS = ("randn", "zeros", "mul", "exp", "detach", "add_", "sigmoid", "mul_", "sum", "backward")
_VECTOR = Layout((4,), (1,), "float32", 4, "cpu")


class _Builder:
    """Builds the trace that recording `BIG` would give, without running it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.states: list[TensorState] = []
        self.tensors: list[Tensor] = []
        self.storages: list[Storage] = []

    def made(self, *, grad: bool = False, node: int | None = None, over: TensorState | None = None) -> StateId:
        """A new tensor, over a new storage or that of another one."""
        tensor, step = TensorId(len(self.tensors)), len(self.calls)
        self.tensors.append(Tensor(tensor, "Tensor", step, step, None))
        if over is None:
            storage = StorageId(len(self.storages))
            self.storages.append(Storage(storage, 16, "cpu", external=False, born=step, died=step + 3))
        else:
            storage = over.storage  # type: ignore[assignment]
        counter = CounterId(storage)
        leaf = node is None
        return self._state(tensor, storage, counter, 0, grad=grad, leaf=leaf, node=node)

    def written(self, number: StateId, node: int | None = None) -> StateId:
        """The state after a write."""
        old = self.states[number]
        assert old.storage is not None
        assert old.counter is not None
        version = (old.version or 0) + 1
        return self._state(
            old.tensor, old.storage, old.counter, version, grad=old.requires_grad, leaf=old.is_leaf, node=node
        )

    def _state(
        self, tensor: TensorId, storage: StorageId, counter: CounterId, version: int,
        *, grad: bool, leaf: bool, node: int | None,
    ) -> StateId:  # fmt: skip
        values = (float(version), 1.0, 2.0, 3.0)
        self.states.append(
            TensorState(
                tensor,
                storage,
                counter,
                0,
                _VECTOR,
                version,
                grad,
                leaf,
                None if node is None else NodeId(node),
                None,
                None,
                values,
            )
        )
        return StateId(len(self.states) - 1)

    def call(self, site: int, inputs: tuple[Argument, ...], outputs: tuple[StateId, ...]) -> None:
        """A call at one of the sites."""
        label = _LABELS[site]
        writes = ("0",) if label.endswith("_") else ()
        kind = Kind.BACKWARD if label == "backward" else Kind.OP
        function = Function(f"torch.Tensor.{label}", label, kind, writes)
        stack = Stack((StackFrame(site, None),))
        step = len(self.calls)
        fresh = 16 if outputs and not writes else 0
        self.calls.append(
            Call(step, function, stack, inputs, outputs, GradMode.GRAD, range(0), None, None, fresh, 0, None, None)
        )


def big_report(calls: int = 100_000) -> Report:
    """A report of a loop with about `calls` calls, ended by a save that was overwritten."""
    build = _Builder()
    x = build.made(grad=True)
    build.call(0, (), (x,))
    total = build.made()
    build.call(1, (), (total,))
    rounds = (calls - 6) // 4
    for _ in range(rounds):
        total = _one_round(build, x, total)
    h = build.made(grad=True, node=0)
    build.call(6, (Argument("0", x, x),), (h,))
    after = build.written(h, node=1)
    build.call(7, (Argument("0", h, after),), (after,))
    loss = build.made(grad=True, node=2)
    build.call(8, (Argument("0", after, after),), (loss,))
    build.call(9, (Argument("0", loss, loss),), ())
    return _report(build, x, total, h, loss, rounds)


def _one_round(build: _Builder, x: StateId, total: StateId) -> StateId:
    y = build.made(grad=True)
    build.call(2, (Argument("0", x, x),), (y,))
    z = build.made(grad=True)
    build.call(3, (Argument("0", y, y),), (z,))
    data = build.made(over=build.states[z])
    build.call(4, (Argument("0", z, z),), (data,))
    after = build.written(total)
    build.call(5, (Argument("0", total, after), Argument("1", data, data)), (after,))
    return after


def _report(build: _Builder, x: StateId, total: StateId, h: StateId, loss: StateId, rounds: int) -> Report:
    ids = [build.states[state].tensor for state in (x, total, h, loss)]
    count = len(build.calls)
    storage = build.states[h].storage
    saved = SavedTensor("result", ids[2], storage, 0, _VECTOR, counted=True)
    use = SavedUse(NodeId(0), 0, build.states[h].counter, 0, 1, changed=True)
    text = BIG.replace("ROUNDS", f"{rounds:_}")
    trace = Trace(
        torch="2.13.0",
        sources=(Source("In[9]", "<big>", text, is_cell=True),),
        sites=tuple(Site(0, "<module>", Position(line, start, line, end)) for line, start, end in _SITES),
        calls=build.calls,
        states=build.states,
        tensors=tuple(build.tensors),
        storages=tuple(replace(one, died=min(one.died or count, count)) for one in build.storages),
        nodes=(
            Node(NodeId(0), "SigmoidBackward0", count - 4, (), (saved,), None, custom=False),
            Node(NodeId(1), "MulBackward0", count - 3, (Edge(NodeId(0), 0),), (), None, custom=False),
        ),
        walks=(GraphWalk(count - 1, True, (NodeId(1),), (NodeId(1), NodeId(0)), (use,), complete=True),),
        changes=(),
        names=tuple(Name(name, tensor, count) for name, tensor in zip(("x", "total", "h"), ids, strict=False)),
        modules=(),
        optimizers=(),
        notes=(),
        title="In[9]",
    )
    culprit = Place("In[9]", "<big>", Position(10, 0, 10, 9), "h.mul_(3)", count - 3)
    victim = Place("In[9]", "<big>", Position(9, 4, 9, 15), "x.sigmoid()", count - 4)
    finding = StaleSave(
        severity="error",
        culprits=(culprit,),
        victim=Victim(victim, "SigmoidBackward0"),
        names=("h",),
        node=NodeId(0),
        saved="result",
        storage=storage,
        version_saved=0,
        version_now=1,
    )
    return Report(Index(trace), (finding,))
