"""Run a program with and without a recording and tell of each run, in plain values, what the program could notice."""

from __future__ import annotations

import contextlib
import io
import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

import inplace

Program = Callable[[], Any]

_HARNESS = {"_ran", "_told"}  # functions of this file that stand below the program's own


@dataclass(frozen=True)
class Told:
    """What a program did: its value and error, what it printed and warned of, and what it left behind."""

    value: Any
    error: Any
    printed: str
    warned: tuple[tuple[str, str, str, int], ...]
    random: bytes
    modes: tuple[str, ...]
    grad: tuple[bool, bool]


class Doubling(TorchFunctionMode):
    """A mode of the user's: sums are doubled."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        return result * 2 if func is torch.Tensor.add else result


def caught(attempt: Callable[..., Any], *given: Any) -> Any:
    """The exception that ends a call, or what it gives out."""
    try:
        return attempt(*given)
    except BaseException as error:
        return error


def plain(value: Any) -> Any:
    """A value without its tensors: each becomes its type, facts and elements."""
    if isinstance(value, torch.Tensor):
        return _plain_tensor(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, BaseException):
        return chain(value, handed_over=True)
    return value


def _plain_tensor(tensor: torch.Tensor) -> Any:
    facts = (type(tensor).__name__, str(tensor.dtype), str(tensor.layout), tuple(tensor.shape), tensor.requires_grad)
    version = None if tensor.is_inference() else tensor._version
    node = tensor.grad_fn.name() if tensor.grad_fn is not None else None
    with torch.no_grad(), contextlib.suppress(RuntimeError, NotImplementedError):  # those without elements have none
        return (*facts, version, node, repr(tensor.detach().tolist()))
    return (*facts, version, node)


def frames(found: TracebackType | None, *, handed_over: bool) -> list[tuple[str, str, int | None]]:
    """File, function and line of a traceback's entries, without those of this file.

    Args:
        found: where it begins.
        handed_over: whether to pass over a function of PyTorch's where it hands itself to a mode, which calls it again.
            Of an error that is caught while we record, such entries can't be taken out.
    """
    entries = [entry for entry in traceback.extract_tb(found) if entry.filename != __file__]
    again = [entry.name for entry in entries[1:]] + [""]
    return [
        (entry.filename, entry.name, entry.lineno)
        for entry, name in zip(entries, again, strict=False)
        if not (handed_over and entry.name == name and _hands_over(entry))
    ]


def _hands_over(entry: traceback.FrameSummary) -> bool:
    return "handle_torch_function(" in (entry.line or "") or entry.filename == torch._ops.__file__


def chain(error: BaseException | None, *, handed_over: bool = False) -> Any:
    """An exception in plain values: type, text, notes, frames, cause, context, and the exceptions of a group."""
    if error is None:
        return None
    return {
        "type": type(error).__name__,
        "text": re.sub(r"0x[0-9a-f]+", "0x", str(error)),
        "notes": getattr(error, "__notes__", []),
        "frames": frames(error.__traceback__, handed_over=handed_over),
        "cause": chain(error.__cause__, handed_over=handed_over),
        "context": chain(error.__context__, handed_over=handed_over),
        "quiet": error.__suppress_context__,
        "group": [chain(one, handed_over=handed_over) for one in getattr(error, "exceptions", ())],
    }


@contextlib.contextmanager
def _as_in_a_fresh_process() -> Iterator[list[warnings.WarningMessage]]:
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # PyTorch says many things once in a process only
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("default")
            warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)  # of PyTorch's own first use of it
            yield heard
    finally:
        torch.set_warn_always(always)


def _told(program: Program, around: Callable[[], contextlib.AbstractContextManager[Any]]) -> Told:
    torch.manual_seed(0)
    printed = io.StringIO()
    value = error = None
    with _as_in_a_fresh_process() as heard, contextlib.redirect_stdout(printed):
        try:
            with around():
                value = program()
        except BaseException as raised:
            error = chain(raised)
        value = plain(value)
    told = tuple((w.category.__name__, str(w.message), w.filename, w.lineno) for w in heard)
    modes = tuple(type(mode).__name__ for mode in torch.overrides._get_current_function_mode_stack())
    grad = (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
    return Told(value, error, printed.getvalue(), told, torch.get_rng_state().numpy().tobytes(), modes, grad)


def alone(program: Program) -> Told:
    """What a program does without us."""
    return _told(program, contextlib.nullcontext)


def recorded(program: Program, recording: inplace.Recording | None = None) -> tuple[Told, inplace.Trace]:
    """What a program does while it is recorded, and the trace."""
    recording = recording or inplace.record()
    told = _told(program, lambda: recording)
    return told, recording.trace


def differences(one: Any, two: Any, path: str = "") -> Iterator[str]:
    """Where two plain values differ, and what stands there."""
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        for key in one:
            yield from differences(one[key], two[key], f"{path}.{key}")
    elif isinstance(one, list | tuple) and isinstance(two, list | tuple) and len(one) == len(two):
        for number, (first, second) in enumerate(zip(one, two, strict=True)):
            yield from differences(first, second, f"{path}[{number}]")
    elif one != two:
        yield f"{path}: {one!r:.500} became {two!r:.500}"


def changed_by_recording(program: Program, recording: inplace.Recording | None = None) -> list[str]:
    """What a program does otherwise when it is recorded, and what we said went wrong."""
    expected = alone(program)
    told, trace = recorded(program, recording)
    found = list(differences(asdict(expected), asdict(told)))
    found += [f"note: {note.text}" for note in trace.notes]
    return found or ([] if len(trace.calls) > 0 else ["nothing was recorded"])
