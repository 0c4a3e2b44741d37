"""The calls of a trace, built from columns when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import overload

from inplace.capture.columns import GIVEN, GIVEN_WIDTH, WIDTH, CallLog
from inplace.capture.twins import open_twin
from inplace.model import Argument, Call, Function, GradMode, Raised, Stack
from inplace.pause import no_collection

_MOST_BUILT = 200_000  # calls that may be objects all at once: about 400 bytes each
_GRAD_MODES = (GradMode.GRAD, GradMode.NO_GRAD, GradMode.INFERENCE)
_OpenCall, _OpenArgument = open_twin(Call), open_twin(Argument)


def _argument(path: str, before: int, after: int) -> Argument:
    given = _OpenArgument(path, before, after)
    given.__class__ = Argument
    return given  # type: ignore[no-any-return]


class CallRows(Sequence[Call]):
    """The calls of a trace, built from rows when asked for: a million calls are not a million objects."""

    def __init__(
        self, log: CallLog, functions: list[Function], stacks: list[Stack], allocations: dict[int, int]
    ) -> None:
        self._log, self._functions, self._stacks, self._allocations = log, functions, stacks, allocations
        self._built: list[Call] | None = None

    @contextmanager
    def built(self) -> Iterator[None]:
        """Build the calls once for all who go through them in the block, unless they are very many."""
        try:
            if len(self) <= _MOST_BUILT:
                self._build()
            yield
        finally:
            self._built = None

    @no_collection()
    def _build(self) -> None:
        self._built = list(self)

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
        return iter(self._built) if self._built is not None else self._between(0, len(self))

    def _call(self, step: int) -> Call:
        return next(self._between(step, step + 1))

    def _between(self, start: int, stop: int) -> Iterator[Call]:
        log = self._log
        calls, given, outputs, paths, origin = log.calls, log.given, log.outputs, log.paths, log.origin
        functions, stacks, allocated = self._functions, self._stacks, self._allocations.get
        raised, result, within = log.raised.get, log.results.get, log.within.get
        rows = [iter(calls[start * WIDTH : stop * WIDTH])] * WIDTH
        following = calls[(start + 1) * WIDTH + GIVEN : (stop + 1) * WIDTH : WIDTH]
        ends = [*following, len(given)]  # the arguments of a call end where those of the next begin
        for step, end, function, stack, mode, module, seq0, seq1, begin, out, outs in zip(
            range(start, stop), ends, *rows, strict=False
        ):
            error = raised(step)
            call = _OpenCall(
                step,
                functions[function],
                stacks[stack],
                tuple(
                    [_argument(paths[given[at]], given[at + 1], given[at + 2]) for at in range(begin, end, GIVEN_WIDTH)]
                ),
                tuple(outputs[out : out + outs]),
                _GRAD_MODES[mode],
                range(seq0 + origin, seq1 + origin),
                None if module < 0 else module,
                Raised(*error) if error is not None else None,
                allocated(step, 0),
                0,
                result(step),
                within(step),
            )
            call.__class__ = Call
            yield call

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Sequence)
            and len(self) == len(other)
            and all(a == b for a, b in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]
