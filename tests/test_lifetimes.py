"""Whatever the user's code lets go of is freed in the same statement as without us."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from inplace.capture.record import Recorder
from tests.commands import python


class Mark:
    """Lives as long as what it was attached to."""


class Watch:
    """Notes when things have died, by weak references and none of PyTorch's own."""

    def __init__(self) -> None:
        self._refs: dict[str, weakref.ref[Any]] = {}
        self.seen: list[tuple[str, list[str]]] = []

    def tensor(self, name: str, tensor: torch.Tensor) -> None:
        """Watch a tensor and its storage."""
        self._refs[name] = weakref.ref(tensor)
        self.storage(f"{name}'s storage", tensor)

    def storage(self, name: str, tensor: torch.Tensor) -> None:
        """Watch a storage."""
        self._refs[name] = weakref.ref(tensor.untyped_storage())

    def node(self, name: str, tensor: torch.Tensor) -> None:
        """Watch the node that has given out a tensor."""
        assert tensor.grad_fn is not None
        mark = tensor.grad_fn.metadata["mark"] = Mark()
        self._refs[name] = weakref.ref(mark)

    def look(self, statement: str) -> None:
        """Note what is alive after a statement."""
        self.seen.append((statement, [name for name, ref in self._refs.items() if ref() is not None]))


def activations(watch: Watch) -> None:
    """Results of layers, some saved by later ones."""
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    x = net[0](torch.ones(2, 4))
    watch.tensor("first", x)
    y = net[1](x)
    watch.tensor("second", y)
    del x
    watch.look("del x")
    z = net[2](y)
    del y
    watch.look("del y")
    z.sum().backward()
    watch.look("backward")
    del z
    watch.look("del z")


def in_place(watch: Watch) -> None:
    """Storages that are asked for, as they are written."""
    for step in range(3):
        y = (torch.ones(100) + 1).relu_()
        watch.tensor(f"step {step}", y)
        y = (y * 2).relu_() + 1
        watch.look("y = ...")
    del y
    watch.look("del y")


def views(watch: Watch) -> None:
    """A storage lives as long as one view, a base as long as one view, and no view as long as either."""
    base = torch.ones(4, 4, requires_grad=True) * 1
    row = base[0]
    part = base.detach()[1:]
    watch.tensor("base", base)
    watch.tensor("row", row)
    watch.node("base's node", base)
    del base
    watch.look("del base")
    row.mul_(2)
    watch.look("row.mul_")
    del row
    watch.look("del row")
    del part
    watch.look("del part")


def gradients(watch: Watch) -> None:
    """Those of leaves, which `zero_grad` drops."""
    net = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(2):
        optimizer.zero_grad()
        watch.look("zero_grad")
        net(torch.ones(3)).sum().backward()
        assert net.weight.grad is not None
        watch.tensor(f"gradient {step}", net.weight.grad)
        optimizer.step()
        watch.look("step")
    net.weight.grad = None
    watch.look("grad = None")


def optimizer_states(watch: Watch) -> None:
    """Those of Adam, which die with it."""
    net = nn.Linear(3, 1)
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(2):
        net(torch.ones(3)).sum().backward()
        optimizer.step()
    for name, state in optimizer.state[net.weight].items():
        watch.tensor(name, state)
    del state
    watch.look("step")
    optimizer.state.clear()
    watch.look("state.clear()")
    watch.storage("weight", net.weight)
    watch.storage("bias", net.bias)
    del optimizer
    watch.look("del optimizer")
    del net
    watch.look("del net")


def graphs(watch: Watch) -> None:
    """Nodes, and what they have saved."""
    x = torch.ones(3, requires_grad=True)
    y = x.exp()
    z = y.sin()
    watch.node("exp", y)
    watch.node("sin", z)
    watch.storage("saved by both", y)
    del y
    watch.look("del y")
    z.sum().backward()
    watch.look("backward")
    z = z.detach()
    watch.look("detach")
    w = (x * 2).exp().sum()
    watch.node("sum", w)
    torch.autograd.grad(w, x, retain_graph=True)
    watch.look("grad")
    w = w.detach()
    watch.look("detach again")


def of_others(watch: Watch) -> None:
    """Storages over the memory of arrays, and two of them over the same bytes."""
    array = np.ones(8, dtype=np.float32)
    one, two = torch.from_numpy(array), torch.from_numpy(array[2:])
    for name, tensor in {"one": one, "two": two}.items():
        tensor.add(1)
        watch.tensor(name, tensor)
    del tensor
    del one
    watch.look("del one")
    two.add_(1)
    del two
    watch.look("del two")
    made = torch.ones(4)
    exported = made.numpy()
    watch.tensor("made", made)
    del made
    watch.look("del made")
    del exported
    watch.look("del exported")


def failed(watch: Watch) -> None:
    """What goes into a call that raises."""
    x = torch.ones(3, requires_grad=True) * 1
    y = torch.ones(4)
    watch.tensor("x", x)
    watch.tensor("y", y)
    watch.node("node", x)
    try:
        x.add_(y)
    except RuntimeError:
        del x, y
    watch.look("del x, y")


PROGRAMS = (activations, in_place, views, gradients, optimizer_states, graphs, of_others, failed)


def recorder() -> Recorder:
    """A recorder of the programs in this file."""
    return Recorder(title="lifetimes", is_cell=lambda name: name == __file__)


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def lives(program: Callable[[Watch], None], context: AbstractContextManager[Any]) -> list[tuple[str, list[str]]]:
    """What is alive after each statement of a program."""
    watch = Watch()
    with context:
        program(watch)
    return watch.seen


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_everything_dies_in_the_same_statement(program: Callable[[Watch], None]) -> None:
    """Without a collection of cycles, and in the same order as in a plain run."""
    plain = lives(program, nullcontext())

    assert lives(program, recorder()) == plain
    assert plain[-1][1] == []


def test_a_storage_whose_address_is_taken_again_is_another() -> None:
    """An identity ends with its storage: the next one at the address of its `StorageImpl` has one of its own."""
    with recorder() as recording:
        addresses = []
        for _ in range(50):
            x = torch.ones(3)
            x.relu_()
            addresses.append(x.untyped_storage()._cdata)
            del x

    written = [call for call in recording.trace.calls if call.function.label == "relu_"]
    storages = {recording.trace.states[call.inputs[0].after].storage for call in written}
    assert len(set(addresses)) < len(addresses) == len(storages)


def test_a_storage_that_only_a_graph_holds_is_the_same() -> None:
    """It comes back as a saved tensor, and is no new one."""
    with recorder() as recording:
        x = torch.ones(3, requires_grad=True)
        y = x.exp()
        y.detach().add_(0)
        z = y * 1
        del y
        with pytest.raises(RuntimeError, match="modified by an inplace"):
            z.sum().backward()

    trace = recording.trace
    exp, add = (next(call for call in trace.calls if call.function.label == label) for label in ("exp", "add_"))
    node = next(node for node in trace.nodes if node.name == "ExpBackward0")
    assert node.saved[0].storage == trace.states[exp.outputs[0]].storage == trace.states[add.inputs[0].after].storage


def test_what_is_known_of_the_dead_is_let_go_of() -> None:
    """The tables of live things have no more entries after many steps than after few, whoever owned the memory."""

    def known(steps: int) -> list[int]:
        found = recorder()
        found.start()
        try:
            for _ in range(steps):
                y = torch.ones(3).relu_()[1:]
                torch.from_numpy(np.ones(3)).add_(1)
                torch.from_numpy(y.numpy()).add_(1)
            storages = found._parts.seen.storages
            return [len(storages.live), len(storages._seconds), len(found._parts.seen.refs)]
        finally:
            found.stop()

    assert known(400) == known(100)


MEMORY = """
import sys, torch, contextlib
if sys.argv[1] == "recorded":
    import inplace
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
x = torch.ones(750_000)
with inplace.record() if sys.argv[1] == "recorded" else contextlib.nullcontext():
    for step in range(80):
        y = (x + 1).relu_()
        y = (y * 2).relu_() + 1
        if step == 19:
            begun = resident()
    print(resident() - begun)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_heap_is_used_again(tmp_path: Path) -> None:
    """Blocks of ours between the user's big ones would keep the C library from reusing the holes."""
    (tmp_path / "loop.py").write_text(MEMORY)

    plain, recorded = (int(python(tmp_path / "loop.py", how).stdout) for how in ("plain", "recorded"))
    assert recorded - plain < 20_000_000  # it was 330 MB when each storage's block was kept
