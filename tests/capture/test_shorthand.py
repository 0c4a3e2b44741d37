"""What is compiled notes what Python notes: the same programs, recorded with and without it, have the same traces."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import hashlib
import io
import multiprocessing
import os
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import inplace
from inplace.capture.bytes import contents, samples
from inplace.capture.calls import mode
from inplace.capture.calls.call_notes import CallNotes
from inplace.capture.record import Recorder
from inplace.capture.tables.refs import TensorRef
from inplace.facts.codec import to_json
from inplace.facts.model import Act
from tests.some import some
from tests.unnoticed.programs import random_program

CASES = sorted((Path(__file__).parents[1] / "cases").glob("*.py"))
SOURCE = Path(mode.__file__).with_name("shorthand.pyx")
VALUES = 11  # where a state has its values

pytestmark = pytest.mark.skipif(mode.Shorthand is None, reason="shorthand.pyx was not built here")


def test_what_is_compiled_is_this_source() -> None:
    """Who has edited it has installed the package again."""
    from inplace.capture.calls import shorthand

    texts = [SOURCE, *sorted(SOURCE.parent.glob("*.pxi"))]
    assert hashlib.sha256(b"".join(text.read_bytes() for text in texts)).hexdigest() == shorthand.DIGEST


def _recorded(source: str, name: str, folder: Path, answer: Any, *, is_pure: bool) -> None:
    """In a child process: record a script and send its trace, without what two runs differ by."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    os.chdir(folder)  # a program may write files
    warnings.simplefilter("ignore")
    if is_pure:
        mode.Shorthand = None
    variables: dict[str, Any] = {"__name__": "__main__", "__file__": name}
    recorder = Recorder(title="program", is_cell=lambda file: file == name, namespace=variables)
    error: BaseException | None = None
    sys.modules["__main__"].__dict__.clear()
    sys.modules["__main__"].__dict__.update(variables)
    gc.disable()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        recorder.start()
        try:
            exec(compile(source, name, "exec"), variables)
        except BaseException as raised:
            error = raised
        found = to_json(recorder.stop(error))
    found["trace"]["process"] = found["trace"]["shared"] = None  # numbers of processes and of files
    for state in found["trace"]["states"]:
        state[VALUES] = state[VALUES] is not None  # uninitialised memory holds anything
    answer.send(found)


def traced(source: str, name: str, folder: Path, *, is_pure: bool) -> Any:
    """The trace of a script that is recorded in a process of its own; None where the script ends that itself."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    process = context.Process(target=_recorded, args=(source, name, folder, theirs), kwargs={"is_pure": is_pure})
    process.start()
    theirs.close()
    try:
        return mine.recv()
    except EOFError:
        return None
    finally:
        process.join()


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two values of JSON differ, and how."""
    if type(one) is type(other) and isinstance(one, dict | list) and len(one) == len(other):
        names = one if isinstance(one, dict) else range(len(one))
        return [found for name in names for found in differences(one[name], other[name], f"{where}/{name}")]
    return [] if one == other else [f"{where}: {one!r:.200}, {other!r:.200}"]


def assert_same(source: str, name: str, folder: Path) -> None:
    """A script recorded with what is compiled, and without: from one place of this file, which is in the stacks."""
    compiled, pure = (traced(source, name, folder, is_pure=is_pure) for is_pure in (False, True))

    assert differences(compiled, pure) == []


def assert_same_again(setup: str, times: int, body: str, folder: Path) -> None:
    """The same of what stands in a loop, since what was met before is noted otherwise."""
    assert_same(f"{setup}for _ in range({times}):\n{textwrap.indent(body, '    ')}\n", "<program>", folder)


@pytest.mark.parametrize("path", list(some(CASES, 9)), ids=lambda path: path.stem)
def test_a_case_has_the_same_trace(path: Path, tmp_path: Path) -> None:
    """Whatever the shorthand leaves to Python and takes up again."""
    assert_same(path.read_text(), str(path), tmp_path)


WRITES = {
    "an average of weights": "with torch.no_grad():\n    x.mul_(0.9).add_(w, alpha=0.1)",
    "itself": "x.add_(x)",
    "a view of itself": "x.mul_(x[0])",
    "a view": "x[0].add_(1); x[1].zero_(); x.t().neg_()",
    "what needs a gradient": "h = w * 2; h.mul_(3); h.relu_(); h.sum().backward()",
    "a new tensor": "y = torch.ones(2, 2); y.add_(1); y.add_(1); y.fill_(0)",
    "another shape": "x.resize_(4); x.add_(1); x.resize_(2, 2); x.unsqueeze_(0); x.squeeze_(0); x.t_()",
    "another memory": "x.set_(torch.ones(2, 2)); x.add_(1); x.data = torch.zeros(2, 2); x.add_(1)",
    "what has another counter": "d = x.data; d.add_(1); x.mul_(2); d.mul_(2); x.detach().add_(1)",
    "what numpy shares": "n = x.numpy(); x.add_(1); n += 1; x.mul_(2); torch.from_numpy(n).add_(1)",
    "an array": "z = torch.from_numpy(np.ones(4, np.float32)); z.add_(1); z[1:].mul_(2); z.add_(1)",
    "what is refused": "try:\n    w.add_(1)\nexcept RuntimeError:\n    pass\nx.add_(1)",
    "in inference mode": "with torch.inference_mode():\n    i = x * 2\n    i.add_(1)\n    x.add_(i)",
    "by keyword": "x.add_(other=w.detach(), alpha=2); torch.Tensor.add_(x, 1); torch.relu_(x); x.add_(torch.ones(()))",
    "a hidden argument": "x.lerp_(w.detach(), 0.5); x.addcmul_(x, x); x.copy_(w.detach()); x.normal_(); x.clamp_(0)",
    "sparse ones": "s = torch.eye(2).to_sparse(); s.mul_(2); s.zero_()",
}


@pytest.mark.parametrize("name", WRITES)
def test_a_call_in_place_has_the_same_trace(name: str, tmp_path: Path) -> None:
    """Made some times, since the first write of a tensor is noted in full."""
    body = textwrap.indent(WRITES[name], "        ")
    text = (
        "import numpy as np\nimport torch\nw = torch.ones(2, 2, requires_grad=True)\n"
        f"def run(x):\n    for _ in range(4):\n{body}\nrun(torch.ones(2, 2))\nx = torch.ones(2, 2)\nx.add_(1)\nrun(x)\n"
    )
    assert_same(text, "<program>", tmp_path)


SLEEPERS = {
    "read again": "for _ in range(3):\n    y = z * 2; w = z + y",
    "written between calls": "y = z * 2\na[1] = 7\nw = z + 1\na[0] = 8\nw = z[1:] * 2",
    "written before the first call": "a[1] = 7\ny = z * 2",
    "written before backward": "p = torch.ones(4, requires_grad=True)\ny = (p * z).sum()\na[1] = 7\ny.backward()",
    "written by a call": "z.add_(1)\ny = z * 2\na[1] = 7\ny = z * 2",
    "another size": "b = np.zeros((40, 40), np.float32); big = torch.from_numpy(b)\ny = big + 1\nb[3] = 1\ny = big + 1",
    "a view of it": "v = z[1:]\nd = z.detach()\na[2] = 3\ny = v + 1\na[3] = 3\ny = d * v.sum()",
    "the tensor is gone": "p = torch.ones(4, requires_grad=True)\ny = (p * z).sum()\ndel z\na[1] = 7\ny.backward()",
    "two over one array": "u = torch.from_numpy(a)\ny = z * 2\na[1] = 7\ny = u * z",
    "part of another": "u = torch.from_numpy(a[1:])\ny = z[1:] * u\na[1] = 7\ny = u * 2",
    "memory of PyTorch's": "t = torch.ones(4); n = t.numpy(); u = torch.from_numpy(n)\ny = u * 2\nn[1] = 7\ny = t * 2",
    "in a list": "y = torch.cat([z, z])\na[1] = 7\ny = torch.stack([z, z])",
    "elsewhere": "z.data = torch.ones(4); y = z * 2\na[1] = 7\ny = z * 2",
}


@pytest.mark.parametrize("name", SLEEPERS)
def test_arrays_that_sleep_have_the_same_trace(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens to one when so many have been compared that they are only around the calls that take them."""
    monkeypatch.setattr(contents, "_AWAKE", 10 * contents._LEAST)
    text = (
        "import numpy as np\nimport torch\n"
        "for _ in range(9):\n    torch.from_numpy(np.ones(4, np.float32)).unsqueeze(0)\n"
        f"for _ in range(2):\n    a = np.ones(4, np.float32)\n    z = torch.from_numpy(a)\n"
        f"{textwrap.indent(SLEEPERS[name], '    ')}\n"
    )
    assert_same(text, "<program>", tmp_path)


def test_arrays_sleep_after_so_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the programs above are about."""
    monkeypatch.setattr(contents, "_AWAKE", 10 * contents._LEAST)
    recorder = Recorder(title="program", is_cell=lambda _: False)
    recorder.start()
    try:
        for _ in range(9):
            kept = torch.from_numpy(np.ones(4, np.float32)).unsqueeze(0)
        found = recorder._listening.parts.contents
        assert found.asleep
        assert not found.watched
        del kept
    finally:
        recorder.stop(None)


DTYPES = (
    torch.float32,
    torch.float64,
    torch.int64,
    torch.int32,
    torch.bool,
    torch.float16,
    torch.uint8,
    torch.complex64,
)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_small_values_are_those_that_python_reads(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tensors in any order, with gaps, over memory of others, and of just so many elements."""

    def values() -> list[Any]:
        with inplace.record() as recording:
            whole = torch.arange(12).reshape(3, 4).to(dtype)
            array = np.arange(12).reshape(3, 4).astype(whole.numpy().dtype)
            shared = torch.from_numpy(array)
            made = [
                *(whole.T, whole[1:, ::2], whole[1, 2], whole.clone(), whole.expand(2, 3, 4), whole[:, None, :1, None]),
                *(whole.reshape(1, 3, 1, 2, 1, 2), torch.zeros(16).to(dtype), torch.zeros(17).to(dtype)),
                *(torch.zeros(256).to(dtype), torch.zeros(257).to(dtype), shared[::2], shared.T, shared * 1, whole[:0]),
            ]
        del made
        return [state.values for state in recording.trace.states]

    compiled = values()
    monkeypatch.setattr(mode, "Shorthand", None)

    assert list(map(repr, compiled)) == list(map(repr, values()))
    assert len([one for one in compiled if one is not None]) > 2


@pytest.mark.parametrize("bytes_", [8, 60, samples.WHOLE + 4, samples.WHOLE + 8, 100_000])
def test_samples_are_the_bytes_that_python_reads(bytes_: int) -> None:
    """All of a small tensor, some words of a larger one, and none of one that was cut."""
    assert samples.block_of is not None
    tensor = torch.arange(bytes_ // 4, dtype=torch.int32)[1:]
    pointer, size = tensor.data_ptr(), tensor.nbytes

    assert samples.block_of(tensor, pointer, size) == samples._sampled(pointer, size)
    assert samples.block_of(tensor.to_sparse(), pointer, size) is NotImplemented

    tensor.untyped_storage().resize_(bytes_ - 1)
    assert samples.block_of(tensor, tensor.data_ptr(), size) is None


@pytest.mark.parametrize("seed", list(some(range(200), 20)))
def test_a_random_program_has_the_same_trace(seed: int, tmp_path: Path) -> None:
    """Modes, subclasses, hooks, threads, errors and whatever else the pieces hold."""
    assert_same(random_program(seed).text, "<program>", tmp_path)


def test_it_notes_most_calls_of_a_training_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nothing keeps from it: forwards of modules and what is computed of what they give out."""
    counted = {"begin": 0, "_end": 0}

    def count(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def counting(*facts: Any) -> Any:
            counted[name] += 1
            return original(*facts)

        monkeypatch.setattr(owner, name, counting)

    count(CallNotes, "begin")  # what Python notes whole
    count(mode.CallMode, "_end")  # and what it notes the end of
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    with inplace.record() as recording:
        for _ in range(20):
            (net(torch.ones(2, 4)) * 2).pow(2).mean().backward()

    calls = len(recording.trace.calls)
    assert calls >= 20 * 8
    assert counted["begin"] < 0.35 * calls  # `ones`, `backward`, and the first of each
    assert counted["_end"] < 0.1 * calls


def test_it_tells_what_is_running() -> None:
    """Within a call that runs code of the user's, and no more after one that has raised."""
    found: list[list[int]] = []

    class Reduction(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            assert Recorder._current is not None
            steps = Recorder._current._mode.running()
            if steps not in found:
                found.append(steps)
            if steps == [2]:
                raise ArithmeticError
            return str(self) == other

    x = torch.ones(3)
    with inplace.record() as recording:
        for _ in range(3):
            with contextlib.suppress(ArithmeticError):
                torch.nn.functional.mse_loss(x, x, reduction=Reduction("sum"))
        after = Recorder._current._mode.running()  # type: ignore[union-attr]

    assert [call.function.label for call in recording.trace.calls] == ["mse_loss"] * 3
    assert found == [[], [1], [2]]  # the first of a function is noted by Python
    assert after == []


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="its C API is asked")
def test_what_c_asks_by_name_is_what_python_does() -> None:
    """PyTorch's C++ asks for `__torch_function__` by its name in C, and for the `__self__` of that."""
    asked = ctypes.pythonapi.PyObject_GetAttrString
    asked.restype, asked.argtypes = ctypes.py_object, (ctypes.py_object, ctypes.c_char_p)

    with inplace.record():
        assert Recorder._current is not None
        theirs = Recorder._current._mode
        before = sys.getrefcount(theirs)
        bound = asked(theirs, b"__torch_function__")
        assert asked(bound, b"__self__") is bound.__self__ is theirs.__torch_function__.__self__ is theirs
        assert bound(torch.neg, (), (torch.ones(2),)).tolist() == [-1.0, -1.0]
        assert asked(theirs, b"active") is theirs.active
        for one, name in ((theirs, b"nothing"), (bound, b"nothing")):
            with pytest.raises(AttributeError):
                asked(one, name)
        del bound, one
        assert sys.getrefcount(theirs) == before


def test_gradient_mode_is_told_where_it_is_switched_off() -> None:
    """And only there: to switch on what is on, or off what is off, is nothing."""
    with inplace.record() as recording:
        with torch.enable_grad():
            pass
        with torch.no_grad(), torch.no_grad():
            torch._C._set_grad_enabled(False)
        torch.set_grad_enabled(mode=False)
        torch.set_grad_enabled(mode=True)

    assert [act.act for act in recording.trace.acts] == [Act.SWITCHED_OFF] * 2


def test_it_keeps_and_loses_no_reference() -> None:
    """Of what it is given, of what it gives, and of what everybody has."""
    x, function = torch.ones(4, requires_grad=True), torch.Tensor.mul
    watched = [x, torch.float32, torch.Tensor, function, sys._getframe(), sys._getframe().f_code, x.shape]

    def run() -> None:
        for _ in range(500):
            y = x * 2
            y = torch.nn.functional.relu(y, inplace=False)
            y.sum().item()
            y, _ = torch.broadcast_tensors(torch.from_numpy(values).unsqueeze(0), y)
            with contextlib.suppress(RuntimeError):
                y @ x[:3]
            with contextlib.suppress(ValueError):
                torch.nn.functional.dropout(y, 3.0)

    values = np.ones(4, np.float32)
    with inplace.record():
        run()
        gc.collect()
        before, frames = [sys.getrefcount(one) for one in watched], len(_frames_and_errors())
        run()
        gc.collect()
        after = [sys.getrefcount(one) for one in watched]

        assert [abs(new - old) < 5 for old, new in zip(before, after, strict=True)] == [True] * len(watched)
        assert len(_frames_and_errors()) == frames


def _frames_and_errors() -> list[object]:
    return [one for one in gc.get_objects() if type(one).__name__ in {"frame", "RuntimeError", "ValueError"}]


def _collections(program: Any) -> int:
    """How often the cyclic collector came by itself while a program ran."""
    came: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            came.append(info["generation"])

    gc.collect()
    gc.callbacks.append(note)
    try:
        program()
    finally:
        gc.callbacks.remove(note)
    return len(came)


def test_the_collector_comes_as_often_as_without_us() -> None:
    """What we keep of each tensor is not counted among the objects that have it come."""
    base = torch.ones(4)

    def program() -> None:
        kept = [base * number for number in range(7000)]
        del kept

    plain = _collections(program)
    with inplace.record():
        program()  # what is made once
        recorded = _collections(program)

    assert 5 <= plain <= recorded <= plain + 2


@pytest.mark.parametrize("name", ["cat", "stack", "by keyword", "nested", "mixed", "none", "empty", "many", "refused"])
def test_lists_of_tensors_have_the_same_trace(name: str, tmp_path: Path) -> None:
    """Those that are noted in short, and those that are not."""
    body = {
        "cat": "y = torch.cat([x, w]); y = torch.cat((x, y[:2]), 1); torch.cat([y, y], dim=0).sum().backward()",
        "stack": "torch.stack([x, w, x]).exp().sum().backward(); x = x.detach() * 2",
        "by keyword": "y = torch.cat(tensors=[x, w]); y = torch.cat([x, x], out=torch.empty(0))",
        "nested": "torch.autograd.backward([(x * w).sum(), (w * 2).sum()]); torch.block_diag(x, w)",
        "mixed": "y = torch.ops.aten.index(x, [torch.tensor([0]), None]); y = x[[0, 1]]; y = x[torch.tensor([1]), 0]",
        "none": "y = torch.einsum('ij,jk->ik', [x, w]); y = torch.broadcast_tensors(x, w)",
        "empty": "try:\n    torch.cat([])\nexcept Exception:\n    pass",
        "many": "y = torch.cat([x * n for n in range(70)]); y = torch.cat([x * n for n in range(63)])",
        "refused": "try:\n    torch.cat([x, w[:, :1], x[:1]])\nexcept RuntimeError:\n    pass",
    }[name]
    setup = "import torch\nw = torch.ones(2, 2, requires_grad=True)\nx = torch.ones(2, 2)\n"
    assert_same_again(setup, 3, body, tmp_path)


KNOWN = {
    "with references in front": "held = [weakref.ref(x, print) for _ in range(20)]; y = x * 2; x.add_(1); y = x[0] * w",
    "swapped": "y = x * 2; torch.utils.swap_tensors(x, torch.ones(2, 2)); y = x * 2; x.add_(1); y = x.t() * w",
    "died and met again": "for n in range(9):\n    y = x * n; z = y[0]; del y\n    z.add_(1)",
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_tensor_is_known_by_its_own_references(name: str, tmp_path: Path) -> None:
    """Wherever ours stands among them, and where it was let go of."""
    setup = "import weakref\nimport torch\nw = torch.ones(2, requires_grad=True)\nx = torch.ones(2, 2)\n"
    assert_same_again(setup, 3, KNOWN[name], tmp_path)


def test_a_reference_that_was_let_go_of_is_not_found_again() -> None:
    """Somebody holds it, and so it stands among those of the tensor, which becomes what it was."""
    x = torch.ones(2)
    with inplace.record() as recording:
        y = x * 2
        held = x.__weakref__
        other = torch.ones(2)
        torch.utils.swap_tensors(x, other)
        torch.utils.swap_tensors(x, other)
        y = x * 3
    assert type(held) is TensorRef
    del y

    one, two = (call.inputs[0].before for call in recording.report.trace.calls if call.function.label == "mul")

    assert recording.report.trace.states[one].tensor != recording.report.trace.states[two].tensor


OWNERS = {
    "few": "a = np.ones(3, np.float32); y = torch.from_numpy(a) + 1; kept.append(y)",
    "many": "kept += [x * n for n in range(70)]; y = torch.from_numpy(np.ones(3, np.float32)) + 1",
    "of one met lately": "y = x * 2; u = torch.from_numpy(y.numpy()[1:]); z = u + 1; y.add_(1)",
    "of one known by its address": (
        "y = x * 2; block = (ctypes.c_float * 4).from_address(y.data_ptr())\n"
        "u = torch.frombuffer(block, dtype=torch.float32); z = u + 1; y.add_(1); z = u + 1"
    ),
    "of one met long ago": "kept += [x * n for n in range(70)]; u = torch.from_numpy(kept[3].numpy()); u.add_(1)",
    "of storages": "kept += [(x * n)[1:] for n in range(70)]; u = torch.from_numpy(kept[3].numpy()); u.add_(1)",
}


@pytest.mark.parametrize("name", OWNERS)
def test_whose_bytes_an_array_has_is_found_the_same(name: str, tmp_path: Path) -> None:
    """Among the few that were met lately, and among all that are told to a `Memory`."""
    setup = "import ctypes\nimport numpy as np\nimport torch\nx = torch.ones(5)\nkept = []\n"
    assert_same_again(setup, 4, OWNERS[name], tmp_path)


NETS = {
    "SGD": "torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9).step()",
    "Adam": "adam.step(); adam.zero_grad(); y = net(x); y.sum().backward()",
    "in evaluation": "net.eval(); y = net(x); net.train()",
    "without statistics": "torch.nn.functional.batch_norm(x, None, None, training=True).sum()",
    "statistics of the user's": "torch.nn.functional.batch_norm(x, mean, var, training=True); mean.add_(1)",
    "statistics that are refused": (
        "try:\n    torch.nn.functional.batch_norm(x, mean[:1], var, training=True)\nexcept RuntimeError:\n    pass"
    ),
    "a parameter moved": "net[0].weight.data = net[0].weight.data * 2; adam.step()",
    "a parameter written": "net[0].weight.data.mul_(2); adam.step(); net[1].running_mean.add_(1)",
    "a new module": "net[1] = torch.nn.BatchNorm1d(3); net(x).sum().backward(); adam.step()",
}


@pytest.mark.parametrize("name", NETS)
def test_steps_norms_and_modules_have_the_same_trace(name: str, tmp_path: Path) -> None:
    """Parameters that a step writes, statistics that no counter shows, and in whose forward a call is made."""
    setup = (
        "import torch\ntorch.manual_seed(0)\n"
        "net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3), torch.nn.ReLU(inplace=True))\n"
        "adam = torch.optim.Adam(net.parameters())\nx, mean, var = torch.randn(4, 3), torch.zeros(3), torch.ones(3)\n"
    )
    assert_same_again(setup, 4, f"y = net(x)\ny.sum().backward()\n{NETS[name]}", tmp_path)


SAMPLED = {
    "written in silence": "y = w.exp(); z = w * x; elsewhere(x.data.zero_); z.sum().backward()",
    "a result": "y = w.exp(); elsewhere(y.data.zero_); (y * 2).sum().backward()",
    "large": "b = torch.ones(3000) * w[0]; y = b.exp(); elsewhere(y.data.zero_); y.sum().backward()",
    "with gaps": "b = torch.ones(8); t = b[::2]; y = w[:1] * t; elsewhere(b.data[1:2].zero_); y.sum().backward()",
    "transposed": "t = torch.ones(2, 3).t(); y = (w[:2] * t).exp(); y.sum().backward()",
    "of an array": "t = torch.from_numpy(np.ones(2, np.float32)); y = (w[:2] * t).exp(); y.sum().backward()",
    "in a list": "y = torch.cat([w, x, w.exp()]).exp(); y.sum().backward()",
    "cut": "y = w * x; x.untyped_storage().resize_(0); x.untyped_storage().resize_(8)",
    "statistics": "m = torch.zeros(2); F.batch_norm(w.expand(3, 2), m, m + 1, training=True).sum().backward()",
}


@pytest.mark.parametrize("name", SAMPLED)
def test_samples_that_calls_take_have_the_same_trace(name: str, tmp_path: Path) -> None:
    """Those that are taken and compared in short, and those that are not."""
    setup = (
        "import threading\nimport numpy as np\nimport torch\nimport torch.nn.functional as F\n"
        "def elsewhere(write):\n    one = threading.Thread(target=write)\n    one.start()\n    one.join()\n"
        "w = torch.ones(2, requires_grad=True)\n"
    )
    assert_same_again(setup, 5, f"x = torch.full((2,), 3.0)\n{SAMPLED[name]}", tmp_path)
