"""Advice and what is kept for backward, as text."""

from __future__ import annotations

from collections.abc import Iterator

from inplace.checks.thrift import Thrift
from inplace.facts.model import Trace
from inplace.reading.trace.place import Place
from inplace.render.words.keeps import keeps
from inplace.render.words.parts import quote, where
from inplace.render.words.phrase import plain
from inplace.render.words.setting import safe

_SHOWN = 12
_KIB = 1024
_PLAIN = 1000  # from which on three significant digits would need an exponent
_NOTHING = "no call could be in place: each input is still read, saved for backward, shared, or held by a name."


def thrift_text(thrift: Thrift) -> str:
    """What could be in place, and what was kept for backward, with the most bytes first."""
    return safe("\n".join([*_could(thrift), "", *_kept(thrift)]))


def _could(thrift: Thrift) -> Iterator[str]:
    if not thrift.advice:
        yield f"advice: {_NOTHING}"
        return
    yield "could be in place, with the same values and gradients (the input is dead afterwards, and nobody saved it):"
    for one in thrift.advice[:_SHOWN]:
        times = "" if one.times == 1 else f" a call, {one.times} calls"
        yield f"  {_at(one.place, thrift.trace)}: {one.how} saves {size(one.saved)}{times}"
    if len(thrift.advice) > _SHOWN:
        yield f"  and {len(thrift.advice) - _SHOWN} more lines"


def _kept(thrift: Thrift) -> Iterator[str]:
    if not thrift.kept:
        yield "kept for backward: nothing was seen"
        return
    yield f"kept for backward, beside the parameters: {size(thrift.kept_bytes)}"
    for one in thrift.kept[:_SHOWN]:
        told = plain(keeps(one.node, one.saved[0]))
        at = f"{_at(one.place, thrift.trace)}: " if one.place is not None else ""
        yield f"  {at}{size(one.bytes)} ({told})"
    if len(thrift.kept) > _SHOWN:
        yield f"  and {len(thrift.kept) - _SHOWN} more"


def _at(place: Place, trace: Trace) -> str:
    return f"{where(place, trace)} {plain(quote(place))}"


def size(count: int) -> str:
    """Bytes as people read them: 12 bytes, 4 KiB, 1.5 MiB."""
    if count < _KIB:
        return f"{count} bytes"
    value, unit = count / _KIB, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if value < _KIB:
            break
        value, unit = value / _KIB, larger
    return f"{value:.3g} {unit}" if value < _PLAIN else f"{value:.0f} {unit}"
