"""Recording changes nothing: results, gradients, versions, errors, random numbers, lifetimes and what stays patched."""

from __future__ import annotations

import gc
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from inplace.capture.record import Recorder
from tests.some import WHOLE

# Their results are memory as it was found, which no two runs share.
UNINITIALISED = {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}


def recorder() -> Recorder:
    """A recorder for which this file is the cell."""
    return Recorder(title="test", is_cell=lambda file: file == __file__)


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of nested lists and tuples."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)


def outcome(run: Callable[[], Any]) -> tuple[str, list[torch.Tensor], torch.Tensor]:
    """What a piece of code did: its error, its tensors, and where it left the random numbers."""
    torch.manual_seed(0)
    try:
        found = list(tensors_in(run()))
    except Exception as error:
        return f"{type(error).__name__}: {error}", [], torch.get_rng_state()
    return "", found, torch.get_rng_state()


def version_of(tensor: torch.Tensor) -> int | None:
    """The version counter; inference tensors have none."""
    return None if tensor.is_inference() else tensor._version


def same_tensor(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Whether two tensors are alike to the bit, nan for nan."""
    if one.layout is not torch.strided or one.is_quantized or one.is_meta:
        return one.shape == two.shape and one.layout == two.layout
    alike = one.shape == two.shape and one.dtype == two.dtype and one.stride() == two.stride()
    alike = alike and one.requires_grad == two.requires_grad and version_of(one) == version_of(two)
    try:
        return alike and bool(
            torch.equal(one, two)
            or (torch.equal(one.isnan(), two.isnan()) and torch.equal(one.nan_to_num(), two.nan_to_num()))
        )
    except NotImplementedError:  # torch.equal knows no complex half
        return alike


def differences(run: Callable[[], Any]) -> list[str]:
    """How a piece of code differs when it is recorded."""
    error, found, state = outcome(run)
    with recorder() as recording:
        error_ours, found_ours, state_ours = outcome(run)
    notes = [note.text for note in recording.trace.notes]
    wrong = [f"note: {note}" for note in notes]
    wrong += [f"error: {error!r} became {error_ours!r}"] if error != error_ours else []
    wrong += ["random state"] if not torch.equal(state, state_ours) else []
    pairs = zip(found, found_ours, strict=False)
    return wrong + [f"tensor {number}" for number, (one, two) in enumerate(pairs) if not same_tensor(one, two)]


# ---------------------------------------------------------------- operators


def _sample(op: Any) -> Any:
    torch.manual_seed(1)
    return next(iter(op.sample_inputs("cpu", torch.float32, requires_grad=op.supports_autograd)))


def _run_op(op: Any, function: Callable[..., Any], *, in_place: bool) -> Callable[[], Any]:
    def run() -> Any:
        sample = _sample(op)
        first = sample.input.clone() if in_place and isinstance(sample.input, torch.Tensor) else sample.input
        result = function(first, *sample.args, **sample.kwargs)
        outputs = [t for t in tensors_in(result) if t.requires_grad]
        leaves = [
            t for t in tensors_in([sample.input, list(sample.args), list(sample.kwargs.values())]) if t.requires_grad
        ]
        gradients: Any = ()
        if outputs and leaves:
            gradients = torch.autograd.grad([t.abs().sum() for t in outputs], leaves, allow_unused=True)
        return [result, [gradient for gradient in gradients if gradient is not None]]

    return run


def test_operators_do_the_same() -> None:
    """Every operator PyTorch ships samples for gives the same results, gradients and errors, in place and not."""
    from torch.testing._internal.common_methods_invocations import op_db

    wrong, ran = [], 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, op in enumerate(op_db):
            if op.name in UNINITIALISED or torch.float32 not in op.dtypes:
                continue
            forms = [(op.op, False)] if WHOLE or number % 6 == 1 else []
            forms += (
                [(op.inplace_variant, True)] if op.inplace_variant is not None and (WHOLE or number % 4 == 1) else []
            )
            for function, in_place in forms:
                ran += 1
                found = differences(_run_op(op, function, in_place=in_place))
                wrong += [f"{op.name} {op.variant_test_name} {in_place}: {found}"] if found else []

    assert wrong == []
    assert ran > 60


# ---------------------------------------------------------------- programs


class Cube(torch.autograd.Function):
    """A custom function that saves its input."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        """Cube the input."""
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        """Three times the square."""
        (x,) = ctx.saved_tensors
        return grads[0] * 3 * x**2


class Tagged(torch.Tensor):
    """A subclass that looks at every call itself."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return super().__torch_function__(func, types, args, kwargs or {})


def _leaf() -> torch.Tensor:
    return torch.linspace(0.1, 1.0, 6).requires_grad_()


def custom_function() -> Any:
    """A custom function, forward and backward."""
    x = _leaf()
    y = Cube.apply(x)
    y.sum().backward()
    return x, x.grad, y


def hooks() -> Any:
    """Tensor, module and gradient hooks."""
    x = _leaf()
    seen = []
    y = x * 2
    y.register_hook(lambda grad: grad * 3)
    x.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.clone()))
    net = nn.Linear(6, 2)
    net.register_forward_hook(lambda module, inputs, output: output + 1)
    net(y).sum().backward()
    return x.grad, seen, net.weight.grad


def reentrant_checkpoint() -> Any:
    """Checkpoint that runs the forward again inside backward."""
    x = _leaf()
    checkpoint(lambda t: torch.dropout(t.sin(), 0.5, train=True), x, use_reentrant=True).sum().backward()
    return x.grad


def plain_checkpoint() -> Any:
    """Checkpoint by saved-tensor hooks."""
    x = _leaf()
    checkpoint(lambda t: torch.dropout(t.sin(), 0.5, train=True).exp(), x, use_reentrant=False).sum().backward()
    return x.grad


def autocast() -> Any:
    """Mixed precision."""
    net = nn.Linear(6, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(_leaf())
    out.sum().backward()
    return out, net.weight.grad


def transforms() -> Any:
    """vmap, grad and jvp."""
    x = torch.rand(3, 4)
    return (
        torch.func.vmap(lambda row: row.sin().sum())(x),
        torch.func.grad(lambda t: (t**2).sum())(x),
        torch.func.jvp(lambda t: t.exp(), (x,), (torch.ones_like(x),)),
    )


def forward_mode() -> Any:
    """Dual tensors."""
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(torch.rand(3), torch.ones(3))
        return list(torch.autograd.forward_ad.unpack_dual(dual.sin()))


def inference() -> Any:
    """Tensors of inference mode, and what is refused with them."""
    with torch.inference_mode():
        feature = torch.rand(3) * 2
    return (feature.clone() * _leaf()[:3]).sum(), feature


def subclass() -> Any:
    """A subclass with its own `__torch_function__`."""
    tagged = torch.rand(4).as_subclass(Tagged)
    assert type(tagged + 1) is Tagged
    return (tagged + 1).as_subclass(torch.Tensor)


def double_backward() -> Any:
    """A gradient of a gradient."""
    x = _leaf()
    (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    first.sum().backward()
    return x.grad


def outdated_view() -> Any:
    """A view whose base became part of a graph after it was made: PyTorch refuses it until somebody asks."""
    base, weight = torch.ones(4), _leaf()[:4]
    view = base[:2]
    base *= weight
    view.add_(1)
    return base


def training() -> Any:
    """Two steps of AdamW with a schedule, clipping and batch norm."""
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Dropout(0.2), nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(net.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        net(torch.randn(5, 6)).pow(2).mean().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    return [*net.parameters(), *net.buffers()]


def encoder() -> Any:
    """A transformer layer and a recurrent net, training and eval."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    rnn = nn.LSTM(8, 4)
    x = torch.randn(2, 3, 8)
    return layer(x), rnn(x)


def odd_tensors() -> Any:
    """Sparse, complex, nested, meta and quantised tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    sparse = torch.eye(3).to_sparse() * 2
    imaginary = torch.view_as_complex(torch.ones(3, 2)).conj() * 1j
    meta = torch.empty(3, device="meta").add_(1)
    return sparse.to_dense(), torch.view_as_real(imaginary.resolve_conj()), meta, nested.to_padded_tensor(0.0)


PROGRAMS = [
    autocast,
    custom_function,
    double_backward,
    encoder,
    forward_mode,
    hooks,
    inference,
    odd_tensors,
    outdated_view,
    plain_checkpoint,
    reentrant_checkpoint,
    subclass,
    training,
    transforms,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_programs_do_the_same(program: Callable[[], Any]) -> None:
    """Each of these corners of PyTorch behaves the same under the recorder."""
    assert differences(program) == []


def test_differences_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison above can fail: a recorder that draws a random number is caught."""
    monkeypatch.setattr("inplace.capture.calls.mode.sequence", lambda: int(torch.rand(1) * 0))

    assert "random state" in differences(training)


# ---------------------------------------------------------------- lifetimes and traces left behind


def test_tensors_die_on_time() -> None:
    """A tensor, its graph and its memory go when the user's last reference goes, not when the recording ends."""
    gc.disable()
    try:
        with recorder():
            x = torch.ones(1000, requires_grad=True)
            y = x.sin()
            z = y.exp()
            refs = [weakref.ref(y), weakref.ref(z)]
            memory = torch.multiprocessing.reductions.StorageWeakRef(z.untyped_storage())
            del y, z
            alive = [ref() is not None for ref in refs]
            gone = memory.expired()
    finally:
        gc.enable()

    assert alive == [False, False]
    assert gone


def test_a_raising_call_keeps_nothing_alive() -> None:
    """The traceback of a call that raised holds no tensor more than it would without us."""
    with recorder():
        x = torch.ones(3, requires_grad=True)
        big = torch.ones(1000)
        ref = weakref.ref(big)
        try:
            torch.add(big, torch.ones(7))
        except RuntimeError as error:
            kept = error
            del big
    died = ref() is None
    del kept, x

    assert died


def test_the_traceback_is_the_users() -> None:
    """After stripping, a traceback has no frame of ours and none that the mode added."""

    def fail() -> None:
        (torch.sigmoid(_leaf()).relu_()).sum().backward()

    with pytest.raises(RuntimeError) as plain:
        fail()
    with pytest.raises(RuntimeError) as ours, recorder():
        fail()

    def lines(error: BaseException) -> list[tuple[str, int | None]]:
        found = [(frame.name, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        return [entry for entry in found if entry[0] != "test_the_traceback_is_the_users"]

    assert lines(ours.value) == lines(plain.value)


def test_everything_is_undone() -> None:
    """After a recording, whatever ended it, no mode, hook, patch or tracer of ours is left."""
    engine = torch.autograd._engine_run_backward
    tracer = sys.gettrace()

    with pytest.raises(KeyboardInterrupt), recorder():
        array = torch.ones(3).numpy()
        array += 1
        raise KeyboardInterrupt

    assert torch.autograd._engine_run_backward is engine
    assert sys.gettrace() is tracer
    assert torch.overrides._get_current_function_mode_stack() == []
    with recorder():
        torch.ones(3)


def test_threads_go_on_unrecorded() -> None:
    """Another thread's operations work while this one is recorded; modes are per thread, so they are not noted."""
    found: list[torch.Tensor] = []
    with recorder() as recording:
        thread = threading.Thread(target=lambda: found.append(torch.ones(3).add_(1)))
        thread.start()
        thread.join()
        torch.zeros(2)

    assert found[0].tolist() == [2.0, 2.0, 2.0]
    assert len(recording.trace.calls) == 1


@pytest.mark.parametrize("point", ["begin", "end", "end_raised", "learn"])
def test_a_fault_of_ours_stays_ours(point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks inside the recorder, the user's code gives its own result, and a note says what happened."""

    def broken(*args: Any) -> Any:
        raise ZeroDivisionError("injected")

    monkeypatch.setattr(f"inplace.capture.calls.call_notes.CallNotes.{point}", broken)
    x = torch.ones(3, requires_grad=True)

    with recorder() as recording:
        y = (x * 2).sum()
        with pytest.raises(RuntimeError, match="leaf Variable"):
            x.add_(1)
        y.backward()

    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 2.0, 2.0]
    assert any("fault of ours" in note.text for note in recording.trace.notes)
