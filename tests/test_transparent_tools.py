"""Recording changes nothing of what PyTorch's larger tools do: threads, workers, transforms, odd tensors."""

from __future__ import annotations

import copy
import io
import pickle
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint, checkpoint_sequential
from torch.utils.data import DataLoader, Dataset

from tests.both_ways import caught, changed_by_recording


def _leaf(size: int = 6) -> torch.Tensor:
    return torch.linspace(0.1, 1.0, size).requires_grad_()


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 1))


# ---------------------------------------------------------------- threads and processes


def python_threads() -> Any:
    """Other threads train while this one does; each has random numbers of its own."""
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        generator = torch.Generator().manual_seed(number)
        x = torch.rand(4, generator=generator).requires_grad_()
        with torch.no_grad() if number % 2 else torch.enable_grad():
            y = (x * 2).relu_()
        if y.requires_grad:
            y.sum().backward()
        found[number] = (y, x.grad, torch.is_grad_enabled())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    kept = torch.ones(3).mul_(2)
    for thread in threads:
        thread.join()
    return kept, sorted(found.items())


def backward_in_threads() -> Any:
    """One graph for each thread, over shared leaves, with hooks that note the thread they run in."""
    x = _leaf()
    seen: list[str] = []
    x.register_hook(lambda grad: seen.append("hook") or grad * 2)
    outs = [(x * number).sin() for number in range(1, 5)]
    grads: dict[int, Any] = {}

    def work(number: int) -> None:
        grads[number] = torch.autograd.grad(outs[number].sum(), x)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
        thread.join()
    return sorted(grads.items()), seen


def error_in_a_thread() -> Any:
    """An error in another thread's backward is that thread's."""
    found: list[Any] = []

    def work() -> None:
        try:
            h = torch.exp(_leaf())
            h.add_(1)
            h.sum().backward()
        except RuntimeError as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return torch.ones(2).add_(1), found


class Squares(Dataset[torch.Tensor]):
    """Ten numbers, squared with a little noise."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> torch.Tensor:
        if index >= len(self):
            raise IndexError(index)
        return torch.full((2,), float(index)).pow_(2).add_(torch.rand(2))


class Refusing(Squares):
    """A data set in which one item can't be had."""

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.ones(2).view(3) if index == 3 else super().__getitem__(index)


def loader_here() -> Any:
    """Batches made in this process, shuffled."""
    return list(DataLoader(Squares(), batch_size=4, shuffle=True))


def _batches(data: Dataset[torch.Tensor], context: str) -> list[torch.Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking a process that has threads
        return list(DataLoader(data, batch_size=4, shuffle=True, num_workers=1, multiprocessing_context=context))


def loader_forked() -> Any:
    """Batches made in a worker that was forked in the midst of a recording."""
    return [batch.add_(1) for batch in _batches(Squares(), "fork")]


def loader_spawned() -> Any:
    """Batches made in a worker that begins a new Python."""
    return [batch.add_(1) for batch in _batches(Squares(), "spawn")]


def loader_refused() -> Any:
    """An error in a worker arrives as it does without us, with the worker's own traceback in its text."""
    try:
        _batches(Refusing(), "fork")
    except RuntimeError as error:
        return torch.ones(1), type(error).__name__, str(error).partition("Original")[0]


# ---------------------------------------------------------------- copies


def copies() -> Any:
    """Deep copies and pickles of tensors, modules and optimizers: values, sharing, versions, flags."""
    net = _net()
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(2, 6)).sum().backward()
    optimizer.step()
    twin, state = copy.deepcopy(net), copy.deepcopy(optimizer.state_dict())
    base = torch.arange(6.0)
    pair = copy.deepcopy([base, base[:3]])
    pair[0].add_(1)
    again = pickle.loads(pickle.dumps([base, base[:3], _leaf(), net.state_dict()]))  # noqa: S301
    again[0].mul_(2)
    kept = io.BytesIO()
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, kept)
    kept.seek(0)
    loaded = torch.load(kept, weights_only=True)
    return list(twin.parameters()), state, pair, again, loaded, copy.copy(_leaf())


def refused_copies() -> Any:
    """What can't be copied or pickled is refused in the same words."""
    h = _leaf() * 2
    attempts = (copy.deepcopy, lambda t: pickle.dumps([t, lambda: 0]), torch.Tensor.numpy, float)
    found = [caught(attempt, h) for attempt in attempts]
    return [(type(error).__name__, str(error).partition(" at 0x")[0]) for error in found]


# ---------------------------------------------------------------- autograd's other ways


def mixed_precision() -> Any:
    """Autocast to bfloat16 with a cache of weights, a custom function, nested and switched off."""
    net, x = _net(), torch.rand(3, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        first = net(x)
        with torch.autocast("cpu", enabled=False):
            second = net(x)
        third = torch.mm(x, x.t()).add_(1)
    (first.float().sum() + second.sum()).backward()
    return first, second, third, [param.grad for param in net.parameters()], torch.is_autocast_enabled("cpu")


def checkpoints() -> Any:
    """Both implementations, with an in-place call, random numbers, several outputs, nested, and a sequence."""

    def block(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = torch.dropout(x * y, 0.5, train=True)
        return h.relu_(), y.exp()

    found = []
    for reentrant in (True, False):
        x, y = _leaf(), _leaf()
        one, two = checkpoint(block, x, y, use_reentrant=reentrant)
        nested = checkpoint(
            lambda t, r=reentrant: checkpoint(torch.sin, t, use_reentrant=r) * 2, x, use_reentrant=reentrant
        )
        (one.sum() + two.sum() + nested.sum()).backward()
        net, z = _net(), _leaf().detach().expand(2, 6).clone().requires_grad_()
        checkpoint_sequential(net, 2, z, use_reentrant=reentrant).sum().backward()
        found.append([x.grad, y.grad, z.grad])
    return found


def checkpoint_that_changes() -> Any:
    """A checkpoint that computes something else the second time is found out in the same words."""
    times: list[int] = []

    def block(x: torch.Tensor) -> torch.Tensor:
        times.append(1)
        return x.sin().exp() if len(times) > 1 else x.sin()

    out = checkpoint(block, _leaf(), use_reentrant=False)
    try:
        out.sum().backward()
    except RuntimeError as error:
        return type(error).__name__, str(error).partition("0x")[0], len(times)
    return len(times)


def forward_mode() -> Any:
    """Dual tensors through in-place calls and views, and derivatives of derivatives."""
    ad, x = torch.autograd.forward_ad, torch.linspace(0.1, 1, 4)
    with ad.dual_level():
        dual = ad.make_dual(x.clone(), torch.ones(4))
        dual[:2].mul_(3)
        plain = list(ad.unpack_dual(dual.sin().add_(dual)))
    return plain, torch.func.hessian(lambda t: (t**3).sum())(x), torch.func.jacfwd(torch.sin)(x)


def transforms() -> Any:
    """`vmap`, `grad`, `jvp`, `vjp`, `functional_call`, with in-place calls inside, and what is refused."""

    def inside(t: torch.Tensor) -> torch.Tensor:
        h = t.clone()
        h.mul_(2)
        return h.sin().sum()

    x, net = torch.rand(3, 4), nn.Linear(4, 1)
    found = [torch.func.vmap(torch.func.grad(inside))(x), torch.func.jvp(inside, (x,), (torch.ones_like(x),))]
    found += [torch.func.vjp(inside, x)[0], torch.func.functional_call(net, dict(net.named_parameters()), (x,))]
    found += [torch.func.vmap(torch.rand_like, randomness="different")(x), torch.func.functionalize(inside)(x)]
    outer = torch.zeros(4)
    found.append(str(caught(torch.func.vmap(outer.add_), x)))
    return found


# ---------------------------------------------------------------- odd tensors


def sparse() -> Any:
    """COO and CSR tensors, coalesced and not, with gradients."""
    weight = torch.rand(3, 3).to_sparse().requires_grad_()
    (torch.sparse.mm(weight, torch.ones(3, 1))).sum().backward()
    csr = torch.eye(3).to_sparse_csr()
    double = torch.sparse_coo_tensor([[0, 0], [1, 1]], [1.0, 2.0], (2, 2), check_invariants=True)
    embedded = nn.Embedding(4, 2, sparse=True)
    embedded(torch.tensor([1, 1])).sum().backward()
    grad = embedded.weight.grad
    assert grad is not None
    return weight.grad.to_dense(), (csr @ torch.ones(3, 1)), double.coalesce().values(), grad.to_dense(), csr.mul_(2)


def quantised() -> Any:
    """A quantised tensor, dynamic and per channel."""
    x = torch.linspace(-1, 1, 6).view(2, 3)
    one = torch.quantize_per_tensor(x, 0.1, 3, torch.quint8)
    two = torch.quantize_per_channel(x, torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.qint8)
    return one.int_repr(), one.dequantize().add_(1), two.dequantize(), one.q_scale(), repr(one)


def unreal() -> Any:
    """Complex, conjugated, nested, meta and fake tensors, in place."""
    z = torch.view_as_complex(torch.arange(6.0).view(3, 2)).requires_grad_()
    (z.conj() * z).real.sum().backward()
    w = torch.view_as_real(z.detach().clone()).mul_(2)
    ragged = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    with FakeTensorMode() as mode:
        fake = torch.empty(3, 4).add_(1).view(12)
        fakes = [tuple(fake.shape), str(fake.device), type(fake).__name__, fake._version]
        mixed = (mode.from_tensor(torch.ones(2)) * 2).shape
    return z.grad, w, list(ragged.mul(2).unbind()), torch.empty(3, device="meta").add_(1).shape, fakes, tuple(mixed)


def default_device() -> Any:
    """Modes of PyTorch's own that stand on the same stack as ours."""
    with torch.device("meta"):
        inner = torch.ones(2).add_(1)
    torch.set_default_device("meta")
    try:
        moved = torch.ones(3)
    finally:
        torch.set_default_device(None)
    return str(inner.device), str(moved.device), torch.ones(1)


def fused_attention() -> Any:
    """Evaluation of a transformer with padding, for which PyTorch has a faster path with other results."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2).eval()
    data, padded = torch.rand(2, 3, 8), torch.tensor([[False, False, True], [False, False, False]])
    with torch.inference_mode():
        inferred = encoder(data, src_key_padding_mask=padded)
    with torch.no_grad():
        return inferred.clone(), encoder(data), nn.MultiheadAttention(8, 2).eval()(data, data, data)


PROGRAMS = [
    backward_in_threads,
    checkpoint_that_changes,
    checkpoints,
    copies,
    default_device,
    error_in_a_thread,
    forward_mode,
    fused_attention,
    loader_forked,
    loader_here,
    loader_refused,
    loader_spawned,
    mixed_precision,
    python_threads,
    quantised,
    refused_copies,
    sparse,
    transforms,
    unreal,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_tools_do_the_same(program: Callable[[], Any]) -> None:
    """Values, gradients, errors, warnings, random numbers and modes are those without a recording."""
    assert changed_by_recording(program) == []
