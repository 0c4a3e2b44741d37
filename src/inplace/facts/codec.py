"""Trace <-> JSON file, with a format number. Reading builds plain values only, from the types that `model` declares.

NOTE [ Tables ]
Calls and states are by far the most of a trace, so they are written as rows without field names, and what repeats
(functions, stacks, layouts) is written once and numbered.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from inplace.facts.consistency import is_consistent
from inplace.facts.errors import TraceFormatError
from inplace.facts.model import Call, Function, Layout, Stack, TensorState, Trace

FORMAT = 6
KIND = "torch-inplace trace"
_SHARED = (Function, Stack, Layout)
_PLAIN = frozenset({str, int, bool, type(None)})
_MOST = 2**63  # no number of a trace is larger


def dump(trace: Trace, path: str | Path) -> None:
    """Write a trace to a file, row by row: what is written of a long one is never in memory as a whole."""
    with Path(path).open("w", encoding="utf-8") as file:
        file.writelines(_pieces(trace))


def _pieces(trace: Trace) -> Iterator[str]:
    """The JSON text of a trace, with the shared tables last."""
    shared, text = _Shared(), json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
    yield f'{{"kind":{text(KIND)},"format":{FORMAT},"trace":'
    before = "{"
    for field in fields(Trace):
        if not field.init:
            continue
        value = getattr(trace, field.name)
        yield f"{before}{text(field.name)}:"
        before = ","
        if isinstance(value, Sequence) and not isinstance(value, str):
            yield "["
            for number, item in enumerate(value):
                yield f"{',' if number else ''}{text(shared.encode(item))}"
            yield "]"
        else:
            yield text(shared.encode(value))
    yield f'}},"shared":{text(shared.tables)}}}'


def load(path: str | Path) -> Trace:
    """Read a trace from a file.

    Raises:
        TraceFormatError: if the file is not a trace of ours, or of a format that this version does not know.
        OSError: if the file can't be read.
    """
    try:
        value = json.loads(Path(path).read_bytes())
    except (ValueError, RecursionError):
        raise TraceFormatError("this is not a torch-inplace trace: it is not JSON") from None
    return from_json(value)


def to_json(trace: Trace) -> dict[str, Any]:
    """A trace as a JSON value."""
    value: dict[str, Any] = json.loads("".join(_pieces(trace)))
    return value


def from_json(value: Any) -> Trace:
    """The trace that a JSON value tells of; see `load`."""
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise TraceFormatError(
            "this is not a torch-inplace trace: write one with Recording.save or inplace run --trace"
        )
    if value.get("format") != FORMAT:
        raise TraceFormatError(
            f"this trace has format {value.get('format')!r}, and this version of torch-inplace reads format {FORMAT}: "
            "record it again, or use the version that wrote it"
        )
    try:
        trace = _decode_trace(value)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError, OverflowError):
        trace = None
    if trace is None or not is_consistent(trace):
        raise TraceFormatError("this torch-inplace trace is damaged: record it again")
    return trace


class _Shared:
    """Encodes values; those of the shared types become numbers into tables."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Any]] = {kind.__name__: [] for kind in _SHARED}
        self._numbers: dict[Any, int] = {}
        self._names: dict[Any, tuple[str, ...]] = {}

    def encode(self, value: Any) -> Any:
        kind: Any = type(value)
        if kind in _PLAIN:
            return value
        if kind is tuple or kind is list:
            return [self.encode(item) for item in value]
        if kind in _SHARED:
            return self._number(value)
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind is range:
            return [value.start, value.stop]
        if isinstance(value, Enum):
            return value.value
        if _is_row(kind):
            return self._row(value)
        for plain in (str, float, int):
            if isinstance(value, plain):
                return self.encode(plain(value))
        return [self.encode(item) for item in value]

    def _row(self, value: Any) -> list[Any]:
        kind: Any = type(value)
        names = self._names.get(kind)
        if names is None:
            names = self._names[kind] = _fields_of(kind)
        return [self.encode(getattr(value, name)) for name in names]

    def _number(self, value: Any) -> int:
        found = self._numbers.get(value)
        if found is None:
            row = self._row(value)
            table = self.tables[type(value).__name__]
            found = self._numbers[value] = len(table)
            table.append(row)
        return found


def _decode_trace(value: dict[str, Any]) -> Trace:
    shared: dict[type, list[Any]] = {}
    for kind in _SHARED:
        shared[kind] = [_build(kind, row, shared) for row in value["shared"][kind.__name__]]
    body = value["trace"]
    hints = typing.get_type_hints(Trace)
    facts: dict[str, Any] = {}
    for name in (f.name for f in fields(Trace) if f.init):
        if name == "calls":
            facts[name] = [_build(Call, row, shared) for row in body[name]]
        elif name == "states":
            facts[name] = [_build(TensorState, row, shared) for row in body[name]]
        else:
            facts[name] = _decoder(hints[name])(body[name], shared)
    return Trace(**facts)


def _build(kind: type, row: Any, shared: dict[type, list[Any]]) -> Any:
    decoders = _decoders_of(kind)
    if not isinstance(row, list) or len(row) != len(decoders):
        raise ValueError(kind.__name__)
    return kind(*[decode(item, shared) for decode, item in zip(decoders, row, strict=True)])


def _is_row(kind: Any) -> bool:
    """Whether values of a type are written as a row of their fields."""
    return is_dataclass(kind) or (isinstance(kind, type) and issubclass(kind, Struct))


def _fields_of(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else kind.__struct_fields__


Decoder = Callable[[Any, dict[type, list[Any]]], Any]


@cache
def _decoders_of(kind: type) -> list[Decoder]:
    hints = typing.get_type_hints(kind)
    return [_decoder(hints[name]) for name in _fields_of(kind)]


@cache
def _decoder(hint: Any) -> Decoder:
    """What turns the JSON of a declared type back into its value, and refuses anything else."""
    origin = typing.get_origin(hint)
    if hasattr(hint, "__supertype__"):
        return _decoder(hint.__supertype__)
    if origin in {typing.Union, types.UnionType}:
        return _union(typing.get_args(hint))
    if origin in {tuple, Sequence}:
        item = _decoder(typing.get_args(hint)[0])
        return lambda value, shared: tuple(item(one, shared) for one in _expect(value, list))
    if hint in _SHARED:
        return lambda value, shared: shared[hint][_index(value)]
    if _is_row(hint):
        return lambda value, shared: _build(typing.cast("type", hint), value, shared)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return lambda value, _: hint(value)
    if hint is range:
        return lambda value, _: range(*(_expect(number, int) for number in value))
    return _scalar(hint)


def _scalar(hint: Any) -> Decoder:
    if hint is float:
        return lambda value, _: float(value["float"]) if isinstance(value, dict) else _expect(value, float)
    return lambda value, _: _expect(value, hint)


def _union(hints: tuple[Any, ...]) -> Decoder:
    scalars = tuple(hint for hint in hints if hint in {int, float, bool, str, type(None)})
    others = [_decoder(hint) for hint in hints if hint not in scalars]

    def decode(value: Any, shared: dict[type, list[Any]]) -> Any:
        if isinstance(value, dict) and float in scalars:
            return float(value["float"])
        if value is None and type(None) in scalars:
            return None
        if others:
            return others[0](value, shared)
        return _expect(value, scalars)

    return decode


def _expect(value: Any, kind: Any) -> Any:
    """The value, if it is of the kind that was declared; a bool is no int."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise TypeError(str(kind))
    if isinstance(value, int) and not -_MOST <= value < _MOST:
        raise OverflowError(value)
    return value


def _index(value: Any) -> int:
    number = _expect(value, int)
    if number < 0:
        raise IndexError(number)
    return int(number)
