"""With a fault injected at each of our observation points in turn, the user's code does what it does without us."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import pytest
import torch

from inplace.capture import faults, left_out, listening, naming, parts, record, told, walks
from inplace.capture.bytes import contents, foreign_memory, readable, samples, shared_memory
from inplace.capture.calls import arguments, call_notes, functions, mode, optimizer_steps
from inplace.capture.code import names, stacks
from inplace.capture.graph import walk
from inplace.capture.patches import warned
from inplace.capture.tables import (
    arrivals,
    call_log,
    layouts,
    memory,
    storages,
    tensor_facts,
    tensor_states,
    tensors,
    tensors_seen,
)
from inplace.facts.errors import RecordingError
from inplace.shells.recording import Recording

# What has to work before and after: it is entered and left by `with`, and is not asked while the user's code runs.
_FRAME = {
    "__init__",
    "__enter__",
    "__exit__",
    "_open",
    "turn_to",
    "start",
    "stop",
    "fault",
    "strip",
    "restore",
    "_restore",
    "shield",
    "undo",
    "is_here",
    "is_left",
}
# These are the user's call or warning itself, passed on; a fault injected in place of them would be the user's own.
_PASSING = {"__torch_function__", "run_engine", "_on_warning", "_warn_again"}
# These are what catches faults: each is a line or two around a call of something that is tested here.
_EDGES = {"_guarded", "_shielded", "protected", "_on_line", "_on_step", "_after_step", "resume"}


def program() -> list[Any]:
    """A bit of everything that we look at: calls, views, backward, a step, numpy, item, hooks, an error."""
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters())
    out = net(torch.ones(4, 3)).relu_()
    out.register_hook(lambda grad: grad * 2)
    loss = out.sum()
    loss.backward()
    optimizer.step()
    base = torch.zeros(6)
    base.view(2, 3)[0].add_(1)
    array = base.numpy()
    array[1] = 5
    refused = ""
    try:
        net.weight.add_(1)
    except RuntimeError as error:
        refused = str(error)
    h = torch.exp(torch.ones(2, requires_grad=True))
    h.add_(1)
    try:
        h.sum().backward()
    except RuntimeError as error:
        refused += str(error)
    return [loss.item(), net.weight.tolist(), net.weight.grad.tolist(), base.tolist(), base._version, refused]


def points() -> list[Any]:
    """Every function and method of ours that may run while the user's code does."""
    found = []
    for module in (
        walk,
        call_notes,
        call_log,
        contents,
        functions,
        tensors_seen,
        layouts,
        memory,
        left_out,
        foreign_memory,
        readable,
        samples,
        shared_memory,
        mode,
        names,
        naming,
        tensor_facts,
        record,
        faults,
        listening,
        parts,
        told,
        walks,
        arrivals,
        stacks,
        tensor_states,
        optimizer_steps,
        storages,
        tensors,
        warned,
        arguments,
    ):
        for name, value in vars(module).items():
            if getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(value):
                found += [(value, key) for key, one in vars(value).items() if isinstance(one, FunctionType)]
            elif isinstance(value, FunctionType):
                found.append((module, name))
    return [
        pytest.param(owner, name, id=f"{getattr(owner, '__qualname__', owner.__name__)}.{name}")
        for owner, name in found
        if name not in _FRAME | _PASSING | _EDGES
    ]


def run_recorded(action: Callable[[], list[Any]]) -> tuple[list[Any], Recording]:
    """Run something under a public recording."""
    recording = Recording(record.Recorder(title="faults", is_cell=lambda name: name == __file__))
    with recording:
        found = action()
    return found, recording


@pytest.mark.parametrize(("owner", "name"), points())
def test_a_fault_anywhere_changes_nothing(owner: type | ModuleType, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The results are those without us, and a note, or the missing recording, says that something went wrong."""
    expected = program()
    reached = []

    def broken(*_: Any, **__: Any) -> Any:
        reached.append(name)
        raise ZeroDivisionError("injected")

    monkeypatch.setattr(owner, name, broken)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, recording = run_recorded(program)

    assert found == expected
    monkeypatch.undo()
    if not reached:
        return
    try:
        told = [note.text for note in recording.trace.notes]
    except RecordingError as error:
        told = [str(error)]
    assert any("fault of ours" in text for text in told) or _is_harmless(name), name


def _is_harmless(name: str) -> bool:
    """Whether a fault there takes away a detail only, which nobody is told of."""
    return name in {"_on_line", "_on_call", "key_of_line", "calls_so_far"}


def test_the_program_reaches_most_of_our_code() -> None:
    """The faults above are injected where something runs: the program goes through all the usual points."""
    expected, recording = run_recorded(program)

    assert expected == program()
    assert recording.trace.notes == ()
    assert {call.function.kind.name for call in recording.trace.calls} >= {"OP", "BACKWARD", "EXPORT", "TO_PYTHON"}
