"""What PyTorch's own tests showed: graphs too deep to ask about, tensors not to be read, nodes known without asking."""

from __future__ import annotations

import subprocess
import sys
import warnings
import weakref
from itertools import islice
from typing import Any

import pytest
import torch

import inplace
from inplace.capture.calls.functions import facts_of
from tests.recording import record_text
from tests.some import some
from tests.test_transparent import differences, tensors_in

DEEP = """
import inplace, torch
with inplace.record() as recording:
    x = torch.ones(1, requires_grad=True)
    y = x.clone()
    for _ in range(60_000):
        y = y + y * 1e-6
        y += 1
    del y
print(len(recording.trace.calls), len(recording.trace.notes))
"""
BROKEN = """
import inplace, torch
with inplace.record() as recording:
    x = torch.empty((), dtype=torch.float64)
    for shape in ([2, 4, 2**29, 2**29], [8, 8, 2**29, 2**29], [0, 4, 2**61]):
        try:
            x.resize_(shape)
        except RuntimeError:
            pass
    x.data_ptr()
    torch.numel(x)
print(len(recording.trace.calls), len(recording.trace.notes))
"""
UNMAPPED = """
import ctypes, inplace, numpy, torch
c = ctypes.CDLL(None)
c.mmap.restype = ctypes.c_void_p
c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
with inplace.record() as recording:
    for size in (4096, 1 << 20):
        address = c.mmap(None, size, 3, 0x22, -1, 0)  # private memory that may be read and written
        array = numpy.frombuffer((ctypes.c_uint8 * size).from_address(address), dtype=numpy.uint8)
        x = torch.from_numpy(array)
        y = x + 1
        array[:] = 7
        y = x * 2
        c.munmap(address, size)
        z = y + 1
print(len(recording.trace.calls), len(recording.trace.changes), len(recording.trace.notes))
"""


def _printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return done.stdout or f"{done.returncode}: {done.stderr}"


def test_a_deep_graph_is_freed_as_ever() -> None:
    """Nodes that Python has asked for free one another recursively, which ends the process where they are many."""
    assert _printed(DEEP) == "180002 0\n"


def test_a_tensor_that_a_failed_resize_left_broken_is_not_read() -> None:
    """Its strides point nowhere: to read them ends the process."""
    assert _printed(BROKEN) == "5 0\n"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody can be asked whether memory is mapped")
def test_memory_that_is_there_no_more_is_not_read() -> None:
    """Arrays over it are watched for what others write, and not touched once it was unmapped under them."""
    assert _printed(UNMAPPED) == "6 2 0\n"


def test_nested_tensors_in_a_graph() -> None:
    """They have no shape; what a node saved of them is noted without."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a prototype, it says
        parts = torch.nested.nested_tensor([torch.rand(2), torch.rand(2)], requires_grad=True)
        weight = torch.nested.nested_tensor([torch.rand(1), torch.rand(1)])
    with inplace.record() as recording:
        parts.clone().sum(-1, keepdim=True).backward(weight)
    assert recording.trace.notes == ()
    assert recording.trace.calls[-1].function.label == "backward"


def test_a_kernel_of_the_users_that_raises_is_no_fault() -> None:
    """To show the values of a small tensor is an operation, which the user's own kernels may be asked about."""

    def refuse(x: torch.Tensor) -> torch.Tensor:
        raise AssertionError(x.shape)

    with torch.library._scoped_library("aten", "IMPL") as library, inplace.record() as recording:
        x = torch.ones(3)
        library.impl("resolve_conj", refuse, "CPU", allow_override=True)
        x.add_(1)
    assert recording.trace.notes == ()


def _samples() -> list[Any]:
    from torch.testing._internal.common_methods_invocations import op_db

    return [op for op in op_db if op.supports_autograd and torch.float64 in op.dtypes]


def _asks(tensor: torch.Tensor) -> bool:
    """Whether there is a node to be known; of a sparse tensor nothing is read."""
    return tensor.layout is torch.strided and tensor.grad_fn is not None


@pytest.mark.filterwarnings("ignore")
def test_the_node_of_what_a_call_gives_out_is_its_grad_fn() -> None:
    """A call that made one node gave out tensors of that node; the others are asked."""
    wrong, seen = [], 0
    for op in some(_samples(), 6):
        for sample in islice(op.sample_inputs("cpu", torch.float64, requires_grad=True), 2):
            with inplace.record() as recording:
                found = [t for t in tensors_in(op(sample.input, *sample.args, **sample.kwargs)) if _asks(t)]
            nodes = {state.node for state in recording.trace.states}
            seen += len(found)
            wrong += [op.name for tensor in found if tensor.grad_fn._sequence_nr() not in nodes]  # type: ignore[union-attr]
    assert wrong == []
    assert seen > 70


@pytest.mark.parametrize(
    "code",
    [
        "y = x * 2; y.add_(1)",
        "z = x * 2; y = z[0]; y.mul_(3)",
        "y = (x * 1).view(4); y.exp_()",
        "y, z = (x * 1).unbind()",
        "y = (x * 1).max(0).values",
        "y = torch.nn.functional.linear(x.expand(3, 2, 2), x)",
        "y = torch.zeros(2, 2); torch.no_grad()(y.add_)(1); y.add_(x)",
    ],
)
def test_the_node_that_the_last_call_left(code: str) -> None:
    """In place, through views, several outputs of one node, several nodes of one call."""
    found = record_text(code, x=torch.ones(2, 2, requires_grad=True))
    last = found.trace.calls[-1]
    state = found.trace.states[last.outputs[0]]
    assert state.node == found.namespace["y"].grad_fn._sequence_nr()


def test_tensors_can_be_swapped() -> None:
    """`swap_tensors`, by which modules may load and convert, refuses tensors that have weak references."""

    def run() -> Any:
        one, two = torch.zeros(3), torch.ones(3)
        shared = one.numpy()
        one.add_(1)
        torch.utils.swap_tensors(one, two)
        one.mul_(5)
        return [one, two, torch.from_numpy(shared)]

    assert differences(run) == []


def test_zero_grad_is_seen_where_it_writes() -> None:
    """Gradients that it sets to None are passed with our mode off; its errors are those it has without us."""
    theirs = torch.optim.Optimizer.zero_grad
    found = record_text(
        """
        optimizer = torch.optim.SGD([x], lr=0.1)
        (x * 2).sum().backward()
        optimizer.zero_grad()
        emptied = x.grad
        (x * 2).sum().backward()
        optimizer.zero_grad(set_to_none=False)
        optimizer.zero_grad(1, 2)
        """,
        x=torch.nn.Parameter(torch.ones(2)),
    )
    assert found.namespace["emptied"] is None
    assert found.namespace["x"].grad.tolist() == [0, 0]
    assert len(found.calls("zero_")) == 1
    assert str(found.error) == "Optimizer.zero_grad() takes from 1 to 2 positional arguments but 3 were given"
    assert torch.optim.Optimizer.zero_grad is theirs


def test_the_modes_that_are_on_are_the_users() -> None:
    """PyTorch asks for them: `torch.get_default_device`, autocast, checkpoints."""
    from torch.overrides import _get_current_function_mode, _get_current_function_mode_stack

    with inplace.record():
        alone = (_get_current_function_mode(), _get_current_function_mode_stack())
        with torch.device("meta"):
            inside, on_top = _get_current_function_mode_stack(), _get_current_function_mode()
            device = torch.get_default_device()
    assert alone == (None, [])
    assert inside == [on_top]
    assert device == torch.device("meta")


def test_lazy_clones_are_left_alone() -> None:
    """To ask where their memory is would copy it; so nothing is recorded from there on, and a note says why."""
    with inplace.record() as recording:
        x = torch.ones(3) + 1
        y = torch._lazy_clone(x)
        z = y * 2
        untouched = torch._C._is_cow_tensor(x) and torch._C._is_cow_tensor(y)
    assert untouched
    assert torch._C._is_cow_tensor(x)
    assert torch._C._is_cow_tensor(y)
    assert z.tolist() == [4, 4, 4]
    assert [call.function.label for call in recording.trace.calls] == ["ones", "add"]
    assert "lazy clone" in recording.trace.notes[0].text


def test_lazy_clones_in_what_an_exception_went_through() -> None:
    """Variables of functions are looked at when an exception has gone through them, but not these."""
    kept: list[torch.Tensor] = []
    found = record_text(
        """
        def fail():
            lazy = torch._lazy_clone(torch.ones(3))
            kept.append(lazy)
            raise ValueError("on purpose")
        fail()
        """,
        kept=kept,
    )
    assert torch._C._is_cow_tensor(kept[0])
    assert found.trace.failure is not None
    assert found.trace.failure.message == "on purpose"


def test_tensors_can_be_swapped_after_recording_has_stopped() -> None:
    """Our weak references to them are still there then."""
    with inplace.record() as recording:
        one, two = torch.zeros(3), torch.ones(3)
        torch._lazy_clone(torch.ones(3))
        torch.utils.swap_tensors(one, two)
    assert one.tolist() == [1, 1, 1]
    assert len(recording.trace.notes) == 1


def test_dim_order_is_asked_as_it_was() -> None:
    """PyTorch's own Python forgets its argument when it hands this method to a mode."""
    theirs = torch.Tensor.dim_order
    with inplace.record(), pytest.raises(RuntimeError, match="does not have unique dim order"):
        assert torch.empty(2, 3).dim_order(ambiguity_check=True) == (0, 1)
        assert torch.empty(1, 2, 1, 2).dim_order() == (0, 1, 2, 3)
        assert torch.Tensor.dim_order is theirs
        torch.empty(1, 2, 1, 2).dim_order(ambiguity_check=True)


def test_a_function_with_several_names_has_the_usual_one() -> None:
    """`torch.mm` is also `torch.spmm`, and is known to change nothing that it is given."""
    facts = facts_of(torch.mm)
    assert (facts.name, facts.function.label) == ("torch.mm", "mm")
    assert facts.is_pure
    assert facts.is_fresh


def resized_under_functionalization(*, view: bool) -> list[Any]:
    """Make a functional tensor larger, or write the view of one that nobody was shown."""
    x = torch._to_functional_tensor(torch.ones(8, 2, 2))
    torch._enable_functionalization(reapply_views=True)
    try:
        y = torch.nn.functional.linear(x, torch.ones(3, 2), torch.ones(3)) if view else x + 1
        if not view:
            y.resize_(5, 5).view(25).fill_(1)
        y.add_(1)
    finally:
        torch._disable_functionalization()
    torch._sync(y)
    return torch._from_functional_tensor(y).tolist()


@pytest.mark.parametrize("view", [False, True])
def test_a_functional_tensor_may_be_made_larger(*, view: bool) -> None:
    """Its storage is not asked for: functionalization takes a tensor whose storage was for one that has views."""
    expected = resized_under_functionalization(view=view)

    with inplace.record() as recording:
        found = resized_under_functionalization(view=view)

    assert found == expected
    assert not recording.trace.notes


def test_weak_references_are_those_of_others() -> None:
    """Those by which we know a tensor are neither counted nor listed."""
    with inplace.record():
        x = torch.ones(2) * 2
        none = weakref.getweakrefcount(x), weakref.getweakrefs(x)
        ref = weakref.ref(x)
        one = weakref.getweakrefcount(x), weakref.getweakrefs(x)

    assert none == (0, [])
    assert one == (1, [ref])


def test_the_forward_stack_of_anomaly_mode_is_the_users() -> None:
    """The stack that is printed with a backward that fails holds no frame of ours, and keeps no tensor alive."""

    def forward() -> tuple[list[str], bool]:
        with torch.autograd.set_detect_anomaly(mode=True, check_nan=False):
            x = torch.ones(2, requires_grad=True) * 2
            gone = weakref.ref(y := x.exp())
            stack: list[str] = y.grad_fn.metadata["traceback_"]
            del y
            return stack, gone() is None

    expected, died = forward()
    with inplace.record():
        found, dies = forward()

    assert [one for one in found if "in forward" in one] == [one for one in expected if "in forward" in one]
    assert [one.split(",")[0] for one in found] == [one.split(",")[0] for one in expected]
    assert (dies, died) == (True, True)
