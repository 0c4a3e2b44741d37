"""Sums that are divided in place, each time that somebody asks for their mean, and go on as if they were sums.

`def mean(self): return self.total.div_(self.n)` gives the mean once: what is left in `total` is no sum, and the next to
ask has it divided once more.

NOTE [ No update ]
A running mean may be kept by writes in place too: `m.mul_(n).add_(x).div_(n + 1)`. So it is told only where nothing but
sums were written between two divisions, and only of what counts up as it is divided by (NOTE [ A count and its sum ]),
or of what a property does: who reads one doesn't mean to change anything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.facts.model import Call, Position, Site
from inplace.facts.source_code import node_position
from inplace.reading.sharing.counts import Counts, paths_in
from inplace.reading.sharing.kept_objects import KeptObject
from inplace.reading.source.code import Code
from inplace.reading.trace.history import SET_ITEM, Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.spelled import is_path

_ADDING = frozenset({"add_", "index_add_", "scatter_add_"})
_DIVIDING = frozenset({"div_", "divide_", "true_divide_"})
_SCALING = _DIVIDING | {"mul_", "multiply_", "sqrt_"}
_READERS = frozenset({"__repr__", "__str__", "__format__", "__float__", "__int__"})


def divided_sums(index: Index) -> Iterator[KeptObject]:
    """Yield the sums that a line divides in place a second time though nothing has set them anew; each line once."""
    lines = _Lines(index)
    told: set[object] = set()
    for storage, writes in index.history.writes_to.items():
        labels = {write.call.function.label for write in writes}
        if labels.isdisjoint(_ADDING) or labels.isdisjoint(_SCALING) or storage in index.history.changes_of:
            continue
        one = _divided_again(lines, writes)
        if one is not None and one.write.stack.frames[0] not in told:
            told.add(one.write.stack.frames[0])
            yield one


def _divided_again(lines: _Lines, writes: list[Write]) -> KeptObject | None:
    """The first division of a part by a statement that has divided it before, where only sums were written between."""
    added: Write | None = None
    divided: dict[object, tuple[Write, Position]] = {}
    for write in writes:
        line = lines.of(write.call)
        first = divided.get(line.statement) if line is not None else None
        if line is not None and line.does == "adds":
            added = write
        elif line is not None and line.does == "divides":
            if first is not None and added is not None and _is_same_part(first[0], write):
                return lines.told(added, first[0], write.call, line)
            divided.setdefault(line.statement, (write, line.position))
        elif line is None or not (line.does == "sets what was added" or _goes_on(first, line.position)):
            added, divided = None, {}
    return None


def _is_same_part(one: Write, other: Write) -> bool:
    parts = [(write.before.tensor, write.before.offset, write.before.layout) for write in (one, other)]
    return parts[0] == parts[1]


def _goes_on(first: tuple[Write, Position] | None, position: Position) -> bool:
    """Whether a range goes on with a division: `.sqrt_()` of `squares.div_(n).sqrt_()`."""
    return first is not None and position != first[1] and position.holds(first[1])


@dataclass(frozen=True, slots=True)
class _Line:
    """What a range of the source does to a sum, which is spelled as `shown`; the statement around is known by a key."""

    does: Literal["adds", "divides", "sets what was added", ""]
    statement: object
    position: Position
    shown: str = ""


class _Lines:
    """What the source says of the calls that write sums; each place is asked once for each function."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._counts: dict[int, Counts] = {}
        self._known: dict[tuple[int, str], _Line] = {}

    def of(self, call: Call) -> _Line | None:
        """What the place of a call does; None where it is not the user's, or the call did nothing."""
        frame = call.stack.frames[0] if call.stack.frames else None
        if frame is None or frame.entry is not None or call.raised is not None or call.within is not None:
            return None
        key = frame.site, call.function.label
        if key not in self._known:
            self._known[key] = self._read(call, self._index.places.site(frame))
        return self._known[key]

    def told(self, added: Write, first: Write, again: Call, line: _Line) -> KeptObject:
        """A sum, the line that adds to it, the first division, and who had it divided again."""
        places, frames = self._index.places, again.stack.frames
        code = places.codes[places.site(frames[0]).source]
        asked = frames[1] if frames[1:] and code.source_code.function_around(line.position) is not None else frames[0]
        keep = places.at(added.call.stack.frames[0], None)
        return KeptObject(keep, first.call, places.at(asked, again.step), first.before, line.shown)

    def _read(self, call: Call, site: Site) -> _Line:
        code, label = self._index.places.codes[site.source], call.function.label
        statement, node = code.statement(site.position), code.source_code.node(site.position)
        key = site.source, None if statement is None else node_position(statement)
        spelled = self._index.spelled.of(call)
        if label == SET_ITEM and isinstance(statement, ast.AugAssign):
            return _Line("sets what was added", key, site.position)  # `x[0] += 1` ends so
        if label in _ADDING and (node is statement or getattr(statement, "value", None) is node):
            return _Line("adds", key, site.position)
        summed = spelled.get("0")
        if label in _SCALING and summed is not None:
            factor = spelled.get("1")
            counts = self._counts.setdefault(site.source, Counts(code))
            divisor = _divisor(label, factor)
            is_counted = divisor is not None and counts.is_of_count(divisor, summed)
            if is_counted or _is_read(code, site.position, summed, factor):
                return _Line("divides", key, site.position, ast.unparse(summed))
        return _Line("", key, site.position)


def _divisor(label: str, factor: ast.expr | None) -> ast.expr | None:
    """What a call divides by: `n` of `div_(n)` and of `mul_(1 / n)`."""
    if label in _DIVIDING:
        return factor
    if not isinstance(factor, ast.BinOp) or not isinstance(factor.op, ast.Div):
        return None
    return factor.right if isinstance(factor.left, ast.Constant) else None


def _is_read(code: Code, position: Position, summed: ast.expr, factor: ast.expr | None) -> bool:
    """Whether a property does nothing but give out what it divides by numbers that are kept elsewhere."""
    function = code.source_code.function_around(position)
    if function is None or not is_path(summed):
        return False
    marks = {ast.unparse(one) for one in function.decorator_list}
    body = [one for one in function.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    simple = all(isinstance(one, ast.Return | ast.Expr | ast.AugAssign) for one in body)
    paths = [ast.unparse(one) for one in paths_in(factor)] if factor is not None else []
    kept = all("." in one and not one.startswith(ast.unparse(summed)) for one in paths)
    return ("property" in marks or function.name in _READERS) and simple and kept
