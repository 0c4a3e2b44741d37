"""The function mode: one row of facts per call of the user's code.

NOTE [ What the mode may do ]
It passes every call on as it came, reads metadata before and after, and lets go of the tensors. Whatever goes wrong on
our side is caught, ends the recording and becomes a note; whatever goes wrong in the call is the user's and passes
through untouched.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from inplace.capture.functions import (
    describe,
    is_question,
    name_of,
    variant_of,
)
from inplace.capture.identity import PLAIN, Identities
from inplace.capture.source import Stacks
from inplace.model import Function, Kind, StateId

_sequence = torch._C._autograd._get_sequence_nr
_transforming = torch._C._functorch.peek_interpreter_stack
_POSITIONS = tuple(str(number) for number in range(256))
_DETAILED = 8  # times that one line's small tensors are read with their values

Pair = tuple[str, torch.Tensor]


class Known:
    """What we know of one function, and whether it can be passed without a record."""

    __slots__ = ("function", "id", "kind", "name", "passed", "plain", "varies", "writing")

    def __init__(self, func: Callable[..., Any]) -> None:
        self.name = name_of(func)
        self.passed = is_question(func)
        self.function = describe(func, self.name, variant=False)
        self.writing = describe(func, self.name, variant=True)
        self.kind = self.function.kind
        self.varies = self.function != self.writing
        self.plain = self.kind is Kind.OP
        self.id = -1


class Row:
    """The facts of one call, as small integers and strings."""

    __slots__ = (
        "allocated",
        "function",
        "inputs",
        "mode",
        "module",
        "outputs",
        "raised",
        "result",
        "seq0",
        "seq1",
        "stack",
        "step",
        "within",
    )

    inputs: tuple[tuple[str, StateId, StateId], ...]
    outputs: tuple[StateId, ...]

    def __init__(self, function: int, stack: int, mode: int, module: int | None, seq0: int) -> None:
        self.function, self.stack, self.mode, self.module = function, stack, mode, module
        self.seq0 = self.seq1 = seq0
        self.inputs, self.outputs = (), ()
        self.raised: tuple[str, str] | None = None
        self.allocated = 0
        self.result: float | int | None = None
        self.step = -1
        self.within: int | None = None


class CallMode(TorchFunctionMode):
    """Observes every torch function that the user's code calls in this thread.

    Args:
        identities: where tensors get their ids.
        stacks: where the user's stacks get theirs.
        hooks: what the recorder does around calls of other kinds than plain operations.
    """

    def __init__(self, identities: Identities, stacks: Stacks, hooks: Hooks) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.functions: list[Function] = []
        self.active = True
        self._identities, self._stacks, self._hooks = identities, stacks, hooks
        self._known: dict[Any, Known] = {}
        self._ids: dict[Function, int] = {}
        self._detailed: dict[int, int] = {}
        self._running: list[int] = []  # steps of the backwards that are running, outermost first

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self.active:
            return func(*args, **kwargs)
        row = known = before = None
        try:
            known = self._known.get(func) or self._learn(func)
            if not known.passed:
                row, before = self._begin(known, args, kwargs)
        except Exception as fault:
            row = None
            self._hooks.fault(fault)
        if row is None or known is None or before is None:
            return func(*args, **kwargs)
        running = known.kind is Kind.BACKWARD
        if running:
            self._running.append(row.step)
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            self._guarded(self._end_raised, known, row, before, error)
            del (
                args,
                kwargs,
                before,
                row,
            )  # the traceback holds this frame, and must not hold the user's tensors with it
            raise
        finally:
            if running:
                self._running.pop()
        self._guarded(self._end, known, row, before, result)
        return result

    def run_engine(self, engine: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run the autograd engine with the mode on, so that hooks and custom backwards are seen.

        While a call is handled the mode is off for what it does inside; for a backward that is the user's own Python.
        """
        if not self.active or not self._running:
            return engine(*args, **kwargs)
        with self:
            return engine(*args, **kwargs)

    # ------------------------------------------------------------ one call

    def _learn(self, func: Any) -> Known:
        known = Known(func)
        self._known[func] = known
        return known

    def _begin(
        self, known: Known, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Row | None, tuple[Any, ...] | None]:
        caller = sys._getframe(2)
        if known.function.label == "grad" and known.kind is Kind.GETTER and not self._stacks.is_user(caller.f_code):
            return None, None  # optimizers look at every gradient several times a step
        stack, module = self._stacks.key_of(caller)
        identities = self._identities
        identities.step = len(self.rows)
        if not known.plain:
            self._hooks.before(known, args, kwargs, stack)
        elif self._hooks.watching:
            self._hooks.look()
        count = self._detailed.get(stack, 0)
        self._detailed[stack] = count + 1
        identities.detail = count < _DETAILED
        mode = 2 if torch.is_inference_mode_enabled() else 0 if torch.is_grad_enabled() else 1
        function = known.writing if known.varies and variant_of(known.name, args, kwargs) else known.function
        row = Row(self._id(function), stack, mode, self._hooks.module_of(module) if module is not None else None, 0)
        tensors = tuple(_tensors(args, kwargs)) if _transforming() is None else ()
        see = identities.see
        before = tuple([(path, tensor, see(tensor)) for path, tensor in tensors])
        row.step = identities.step
        row.within = self._running[-1] if self._running else None
        row.inputs = tuple([(path, state, state) for path, _, state in before])
        row.seq0 = row.seq1 = _sequence()
        self.rows.append(row)
        return row, before

    def _id(self, function: Function) -> int:
        found = self._ids.get(function)
        if found is None:
            found = self._ids[function] = len(self.functions)
            self.functions.append(function)
        return found

    def _end(self, known: Known, row: Row, before: tuple[Any, ...], result: Any) -> None:
        identities = self._identities
        row.seq1 = _sequence()
        reread = known.kind is Kind.SETTER or known.function.label == "requires_grad_"
        see = identities.see
        for _, tensor, _ in before:
            if reread or tensor is result:
                # Under no_grad a written view keeps its outdated `grad_fn`; see NOTE [ Stale views ].
                identities.read(tensor, fresh=tensor is result and row.mode == 0)
        row.inputs = tuple([(path, state, see(tensor)) for path, tensor, state in before])
        if result is not None and _transforming() is None:
            storages = len(identities.storages.sizes)
            row.outputs = tuple(self._out(known, row, before, tensor) for tensor in _outputs(result))
            row.allocated = sum(identities.storages.sizes[storages:])
        if known.kind is Kind.TO_PYTHON and type(result) in (float, int):
            row.result = result
        if not known.plain:
            self._hooks.after(known, before, result)
        elif self._hooks.watching:
            self._hooks.settle()

    def _out(self, known: Known, row: Row, before: tuple[Any, ...], tensor: torch.Tensor) -> StateId:
        for (_, given, _), (_, _, after) in zip(before, row.inputs, strict=True):
            if given is tensor:
                return after
        own = known.kind is Kind.GETTER and known.function.label == "data"
        if self._identities.is_known(tensor):
            return self._identities.see(tensor)
        aliases = tuple(state for _, _, state in row.inputs)
        return self._identities.read(tensor, origin=row.step, aliases=aliases, own=own)

    def _end_raised(self, known: Known, row: Row, before: tuple[Any, ...], error: BaseException) -> None:
        row.seq1 = _sequence()
        see = self._identities.see
        row.inputs = tuple([(path, state, see(tensor)) for path, tensor, state in before])
        row.raised = (type(error).__name__, str(error).partition("\n")[0][:500])
        self._hooks.raised(known, before, row.step)

    def _guarded(self, action: Callable[..., None], *args: Any) -> None:
        try:
            action(*args)
        except Exception as fault:
            self._hooks.fault(fault)


class Hooks:
    """What the recorder does around calls; see `record.py`."""

    watching = False

    def before(self, known: Known, args: tuple[Any, ...], kwargs: Mapping[str, Any], stack: int) -> None:
        """A call that is no plain operation is about to run."""
        raise NotImplementedError

    def after(self, known: Known, before: tuple[Any, ...], result: Any) -> None:
        """A call that is no plain operation has returned."""
        raise NotImplementedError

    def raised(self, known: Known, before: tuple[Any, ...], step: int) -> None:
        """A call has raised."""
        raise NotImplementedError

    def look(self) -> None:
        """Compare the contents of exported storages before a call, while `watching`."""
        raise NotImplementedError

    def settle(self) -> None:
        """Take the contents of exported storages after a call as known, while `watching`."""
        raise NotImplementedError

    def module_of(self, frame: Any) -> int | None:
        """The id of the module whose `_call_impl` runs in `frame`."""
        raise NotImplementedError

    def fault(self, error: Exception) -> None:
        """Our own code failed: stop, and say so."""
        raise NotImplementedError


def _tensors(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Pair]:
    for number, value in enumerate(args):
        path = _POSITIONS[number] if number < len(_POSITIONS) else str(number)
        if type(value) in PLAIN:
            yield path, value
        elif type(value) in (tuple, list):
            yield from _nested(path, value, 2)
    for path, value in kwargs.items():
        if type(value) in PLAIN:
            yield path, value
        elif type(value) in (tuple, list):
            yield from _nested(path, value, 2)


def _nested(path: str, values: Any, depth: int) -> Iterator[Pair]:
    for number, value in enumerate(values):
        if type(value) in PLAIN:
            yield f"{path}[{number}]", value
        elif depth > 1 and type(value) in (tuple, list):
            yield from _nested(f"{path}[{number}]", value, depth - 1)


def _outputs(result: Any) -> Iterator[torch.Tensor]:
    if type(result) in PLAIN:
        yield result
    elif isinstance(result, tuple | list):
        for item in result:
            if type(item) in PLAIN:
                yield item
            elif isinstance(item, tuple | list):
                yield from _outputs(item)
