"""The calls of a trace, built from columns when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from inplace.capture.columns import WIDTH, CallLog
from inplace.model import Argument, Call, Function, GradMode, Raised, Stack

_GRAD_MODES = (GradMode.GRAD, GradMode.NO_GRAD, GradMode.INFERENCE)


class CallRows(Sequence[Call]):
    """The calls of a trace, built from rows when asked for: a million calls are not a million objects."""

    def __init__(
        self, log: CallLog, functions: list[Function], stacks: list[Stack], allocations: dict[int, int]
    ) -> None:
        self._log, self._functions, self._stacks, self._allocations = log, functions, stacks, allocations

    def __len__(self) -> int:
        return len(self._log)

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> list[Call]: ...
    def __getitem__(self, index: int | slice) -> Call | list[Call]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        step = index + len(self) if index < 0 else index
        if not 0 <= step < len(self):
            raise IndexError(index)
        return self._call(step)

    def __iter__(self) -> Iterator[Call]:
        return map(self._call, range(len(self)))

    def _call(self, step: int) -> Call:
        log = self._log
        function, stack, mode, module, seq0, seq1, _, out, outs = log.calls[step * WIDTH : step * WIDTH + WIDTH]
        raised = log.raised.get(step)
        return Call(
            step=step,
            function=self._functions[function],
            stack=self._stacks[stack],
            inputs=tuple([Argument(*given) for given in log.inputs(step)]),
            outputs=tuple(log.outputs[out : out + outs]),  # type: ignore[arg-type]  # integers that are StateIds
            grad_mode=_GRAD_MODES[mode],
            nodes=range(seq0 + log.origin, seq1 + log.origin),
            module=None if module < 0 else module,
            raised=Raised(*raised) if raised is not None else None,
            allocated=self._allocations.get(step, 0),
            thread=0,
            result=log.results.get(step),
            within=log.within.get(step),
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Sequence)
            and len(self) == len(other)
            and all(a == b for a, b in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]
