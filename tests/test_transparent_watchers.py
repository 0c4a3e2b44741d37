"""Whoever else watches sees what it sees without us: weak references, modes below and above, profilers, counters."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from tests.both_ways import alone, changed_by_recording, recorded


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Dropout(0.1), nn.BatchNorm1d(8), nn.Linear(8, 1))


def train() -> list[torch.Tensor]:
    """Two steps with all that a step may have."""
    net, data = _net(), torch.rand(4, 6)
    optimizer = torch.optim.AdamW(net.parameters(), amsgrad=True)
    for _ in range(2):
        optimizer.zero_grad()
        out = checkpoint(net, data, use_reentrant=False)
        loss = out.pow(2).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        data[0].mul_(loss.item())
    return list(net.parameters())


# ---------------------------------------------------------------- lives


class Deaths:
    """Notes when tensors die."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self._refs: list[Any] = []

    def watch(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Note the death of a tensor and of its storage under a name."""
        self._refs.append(weakref.ref(tensor, lambda _: self.order.append(name)))
        return tensor

    def note(self, name: str, tensor: torch.Tensor) -> None:
        """The same, for hooks, which must give nothing out."""
        self.watch(name, tensor)

    def mark(self, name: str) -> None:
        """Note that a point of the program was reached."""
        self.order.append(f"-- {name}")


def lives_of_temporaries() -> Any:
    """Temporaries, rebound names, views that outlive their base's name, graphs that keep tensors."""
    deaths = Deaths()
    x = deaths.watch("x", torch.ones(3, requires_grad=True))
    y = deaths.watch("y", x * 2)
    deaths.mark("rebind")
    y = deaths.watch("y again", y.exp())
    view = deaths.watch("view", y[:2])
    deaths.mark("y goes")
    del y
    deaths.watch("temporary", view * 1)
    deaths.mark("backward")
    view.sum().backward()
    grad = deaths.watch("grad", x.grad)
    x.grad = None
    deaths.mark("grad goes")
    del grad
    deaths.mark("x goes")
    del x, view
    deaths.mark("end")
    return deaths.order


def lives_in_errors() -> Any:
    """A tensor in a frame of a traceback lives as long as the error, and as long as the frame."""
    deaths = Deaths()
    attempts: list[Callable[[torch.Tensor], Any]] = [
        lambda t: t.view(7),
        lambda t: torch.add(t, torch.ones(5)),
        lambda t: t.requires_grad_().add_(1),
        lambda t: nn.functional.linear(t, torch.ones(2, 7)),
        lambda t: nn.functional.max_pool2d(t, 2),
        lambda t: t.size(4),
        lambda t: torch.stack([t, torch.ones(5)]),
        _spoil,
    ]
    for number, attempt in enumerate(attempts):
        _fail(deaths, number, attempt)
    return deaths.order


def _spoil(x: torch.Tensor) -> None:
    h = (x.requires_grad_() * 1).exp()
    h.add_(1)
    h.sum().backward()


def _fail(deaths: Deaths, number: int, attempt: Callable[[torch.Tensor], Any]) -> None:
    kept = None
    inner = deaths.watch(f"given {number}", torch.ones(3))
    try:
        attempt(deaths.watch(f"temporary {number}", inner * 1))
    except Exception as error:
        deaths.mark(f"caught {number}")
        kept = error
    del inner
    deaths.mark(f"kept {number}")
    assert kept is not None
    kept.__traceback__ = None
    deaths.mark(f"freed {number}")


def lives_in_modules_and_hooks() -> Any:
    """Activations of modules, what hooks were given, and what a checkpoint recomputes."""
    deaths = Deaths()
    net = _net()
    for name, module in net.named_children():
        module.register_forward_hook(lambda _, args, out, name=name: deaths.note(f"out of {name}", out))
    for use_checkpoint in (False, True):
        data = deaths.watch("data", torch.rand(4, 6).requires_grad_())
        out = checkpoint(net, data, use_reentrant=False) if use_checkpoint else net(data)
        out.register_hook(lambda grad: deaths.note("grad", grad))
        deaths.mark("backward")
        out.sum().backward()
        deaths.mark("out goes")
        del out, data
        deaths.mark("end")
    return deaths.order


class Bytes(TorchDispatchMode):
    """Counts the bytes of the storages that are alive after each operation."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}
        self.counts: list[tuple[str, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage()._cdata not in self.alive:
                self._watch(tensor.untyped_storage())
        self.counts.append((str(func), sum(self.alive.values())))
        return result

    def _watch(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        self.alive[key] = storage.nbytes()
        weakref.finalize(storage, self.alive.pop, key, None)


def memory() -> Any:
    """Every operation of a training step, and the bytes that are alive after it."""
    with Bytes() as counted:
        train()
    assert len(counted.counts) > 100
    return counted.counts


# ---------------------------------------------------------------- other observers


class Calls(TorchFunctionMode):
    """Lists every function that is called, questions included."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(resolve_name(func) or getattr(func, "__name__", func)))
        return func(*args, **(kwargs or {}))


class Counted(torch.Tensor):
    """A subclass that lists what it is asked."""

    names: list[str]

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.names.append(str(getattr(func, "__name__", func)))
        return super().__torch_function__(func, types, args, kwargs or {})


def function_mode() -> Any:
    """A mode that begins within the recording."""
    with Calls() as calls:
        train()
    return calls.names


def dispatch_mode() -> Any:
    """Every operation, in inference mode too, where more of them are seen."""
    with Bytes() as counted, torch.inference_mode():
        small = torch.ones(2, 2).t().add_(1)
        nn.functional.dropout(small[0], 0.5).tolist()
    return [name for name, _ in counted.counts]


def asked_subclass() -> Any:
    """A subclass is asked what the program asks it."""
    Counted.names = []
    one = torch.ones(3, requires_grad=True).as_subclass(Counted)
    two = (one * 2).relu_()
    two.sum().backward()
    optimizer = torch.optim.SGD([one.detach().requires_grad_()], lr=0.1)
    optimizer.step()
    return list(Counted.names)


def flops() -> Any:
    """PyTorch's own counter."""
    with FlopCounterMode(display=False) as counter:
        train()
    return counter.get_total_flops(), {key: len(value) for key, value in counter.get_flop_counts().items()}


def profile() -> Any:
    """The operations that PyTorch's profiler lists."""
    with torch.autograd.profiler.profile() as found:
        torch.manual_seed(1)
        x = torch.rand(3, requires_grad=True)
        (x * 2).exp().sum().backward()
    return [event.name for event in found.function_events]


def saved_tensor_hooks() -> Any:
    """What is packed and unpacked, and when."""
    seen: list[Any] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(("pack", tuple(tensor.shape)))
        return tensor

    def unpack(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(("unpack", tuple(tensor.shape)))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        train()
    return seen


PROGRAMS = [
    asked_subclass,
    dispatch_mode,
    flops,
    function_mode,
    lives_in_errors,
    lives_in_modules_and_hooks,
    lives_of_temporaries,
    memory,
    profile,
    saved_tensor_hooks,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_watchers_see_the_same(program: Callable[[], Any]) -> None:
    """The same functions, operations, bytes and deaths, in the same order."""
    program()  # what is done once in a process is over then
    gc.disable()
    try:
        assert changed_by_recording(program) == []
    finally:
        gc.enable()


def test_a_mode_below_ours_sees_the_same() -> None:
    """A mode that was on before the recording began is not asked by our reads."""
    train()
    with Calls() as plainly:
        expected = alone(train)
    with Calls() as calls:
        told, _ = recorded(train)

    assert told.value == expected.value
    assert calls.names == plainly.names
