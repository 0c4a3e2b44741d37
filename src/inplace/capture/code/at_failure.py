"""Where an exception has left the user's code: the tensors on that line, and the custom function that was at work."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FrameType, TracebackType

import torch
from torch.autograd.function import BackwardCFunction

from inplace.capture.code import custom_forwards
from inplace.capture.code.names import borrow_locals, scan
from inplace.capture.code.objects import is_a, is_one_of, items_of, name_of_class
from inplace.capture.tables.tensors import TYPES

_MOST = 12  # tensors told of one line
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
_APPLY: CodeType | None = getattr(torch.autograd.Function.apply, "__code__", None)  # it has no frame since 2.14
_APPLY_BACKWARD = BackwardCFunction.apply.__code__


def tensors_on_line(
    traceback: TracebackType | None, is_user: Callable[[CodeType], bool], use: Callable[[str, torch.Tensor], None]
) -> None:
    """Call `use` with each tensor that the innermost line of the user's mentions, and the name it has there."""
    last = None
    while traceback is not None:
        last = traceback if is_user(traceback.tb_frame.f_code) else last
        traceback = traceback.tb_next
    if last is None:
        return
    frame, wanted = last.tb_frame, _mentioned(last.tb_frame.f_code, last.tb_lasti)
    borrow_locals(frame, lambda found: _use(found, frame, wanted, use))


def _use(
    found: Mapping[str, object], frame: FrameType, wanted: list[str], use: Callable[[str, torch.Tensor], None]
) -> None:
    """Give out the tensors that some paths, such as `self.fc`, lead to from the variables of a frame."""
    known = {**dict(items_of(frame.f_globals)), **dict(items_of(found))}
    roots = dict.fromkeys(path.partition(".")[0] for path in wanted)
    reached = scan({root: known[root] for root in roots if root in known})
    owners = {path.rpartition(".")[0] for path in wanted}  # `h` of `h.view`
    given = 0
    for path, value in reached:
        below = any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in wanted)
        if is_one_of(value, TYPES) and (below or path in owners):
            use(path, value)
            given += 1
        if given == _MOST:
            return


def _mentioned(code: CodeType, instruction: int) -> list[str]:
    """The variables that the line of an instruction reads, with the attributes that it reads of them at once."""
    found: list[str] = []
    lines = [(start, end, line) for start, end, line in code.co_lines() if line is not None]
    here = next((line for start, end, line in lines if start <= instruction < end), None)
    spans = [(start, end) for start, end, line in lines if line == here]
    attached = False
    for one in dis.get_instructions(code):
        if not any(start <= one.offset < end for start, end in spans):
            continue
        if one.opname.startswith(_ATTRIBUTES) and attached and found and type(one.argval) is str:
            found[-1] += f".{one.argval}"
        elif one.opname in {"CACHE", "EXTENDED_ARG", "NOP"}:
            continue
        else:
            names = _loaded(one)
            found += names
            attached = bool(names)
    return list(dict.fromkeys(found))


def _loaded(one: dis.Instruction) -> list[str]:
    """The variables that an instruction reads; some of Python 3.13's read two."""
    if not one.opname.startswith("LOAD_") or one.opname.startswith(("LOAD_CONST", "LOAD_SUPER", *_ATTRIBUTES)):
        return []
    names = one.argval if isinstance(one.argval, tuple) else (one.argval,)
    return [name for name in names if type(name) is str and name.isidentifier()]


def custom_function_in(traceback: TracebackType | None) -> str:
    """The class of the innermost custom function whose `apply` or backward an exception has left; else nothing."""
    found: list[str] = []
    for frame in _frames(traceback):
        if frame.f_code is _APPLY:
            borrow_locals(frame, lambda its: found.append(_class_name(dict(items_of(its)).get("cls"))))
        elif frame.f_code is _APPLY_BACKWARD:
            borrow_locals(frame, lambda its: found.append(_name_of_node(dict(items_of(its)).get("self"))))
        elif (owner := custom_forwards.owner_of(frame.f_code)) is not None:
            found.append(name_of_class(owner))
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    last = None if traceback is None else custom_forwards.applied_at(traceback.tb_frame, traceback.tb_lasti)
    found += [] if last is None else [name_of_class(last)]
    return next((name for name in reversed(found) if name), "")


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _class_name(found: object) -> str:
    return name_of_class(found) if is_a(found, type) else ""  # type: ignore[arg-type]


def _name_of_node(node: object) -> str:
    """A custom function's node is of a class that PyTorch makes for it: `ScaleBackward` for `Scale`."""
    return name_of_class(type(node)).removesuffix("Backward")
