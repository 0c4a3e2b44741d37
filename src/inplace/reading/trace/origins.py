"""Which statement kept what an expression stands for: put it into a container or an attribute, or gave it a name.

NOTE [ Followed by the source ]
Who puts a tensor into a list calls no function of PyTorch, so no call says when and where. The source does: a variable
leads to its assignments, a loop variable to what the loop goes through, a parameter to what the caller handed over, an
attribute to all that is assigned to attributes of its name, and a container to what is put into it. That a tensor was
really there is not concluded from this, but from the calls that were given it; here is only asked for the line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from inplace.facts.model import Position, StackFrame
from inplace.facts.source_code import called_name, node_position
from inplace.reading.source.bindings import Binding, Bindings, argument_of, parameters_of
from inplace.reading.source.code import depth_of, is_putting, leaves_kept_by, parts_written
from inplace.reading.trace.places import Places
from inplace.reading.trace.spelled import is_path

_DEEPEST = 8  # names, containers and functions that one expression is followed through
_MOST = 32  # statements that one expression may lead to
_TAKING = frozenset({"get", "pop", "popleft", "popitem", "setdefault"})
_THROUGH = frozenset({"items", "values", "iter", "reversed", "enumerate", "zip", "tqdm"})
_MAKING = frozenset({"list", "tuple", "dict", "set", "sorted", "deque", "OrderedDict", "defaultdict", "copy"})
GIVING = frozenset({"parameters", "named_parameters", "state_dict", "buffers", "named_buffers"})
"""Methods of modules that give out their tensors, in a container or one by one."""
_ASKING = frozenset({"getattr", "get_parameter", "get_buffer"})
_OPENED = (ast.List, ast.Tuple, ast.Dict, ast.Starred)
_SAME = frozenset({"data", "T", "mT"})


@dataclass(frozen=True, slots=True)
class Origin:
    """A statement that kept something, and the expression of it that gave what was kept.

    It is `put` where that went into a container, else the statement gave it a name or an attribute. `levels` is how
    many items or attributes lead on from what the statement puts into it.
    """

    source: int
    statement: ast.stmt
    value: ast.expr
    put: bool
    levels: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether the expression gave a container or an object in which the tensor is, not the tensor itself."""
        return self.levels > depth_of(self.statement, self.value)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an expression stands; `frames` are that of its function and those around it, as far as they are known."""

    source: int
    position: Position
    frames: tuple[StackFrame, ...] = ()


class Origins:
    """The statements of one trace's sources that keep something."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._bindings: dict[int, Bindings] = {}

    def bindings(self, source: int) -> Bindings:
        """What the names of one source are bound to."""
        found = self._bindings.get(source)
        if found is None:
            found = self._bindings[source] = Bindings(self._places.codes[source])
        return found

    def of(self, node: ast.expr, spot: Spot) -> list[Origin]:
        """The statements that may have kept what an expression stands for, but for the one that it stands in."""
        return self._others(self._of(node, spot, 0), spot)

    def of_items(self, node: ast.expr, spot: Spot) -> list[Origin]:
        """The statements that may have put something into what an expression stands for."""
        return self._others(self._inside(node, spot, 0), spot)

    def _others(self, found: Iterator[Origin], spot: Spot) -> list[Origin]:
        kept: dict[tuple[int, ast.stmt], Origin] = {}
        for number, one in enumerate(found):
            if number >= _MOST:
                break
            if one.source != spot.source or not node_position(one.statement).holds(spot.position):
                kept.setdefault((one.source, one.statement), one)
        return list(kept.values())

    # ------------------------------------------------------------ what an expression is

    def _of(self, node: ast.expr, spot: Spot, depth: int) -> Iterator[Origin]:
        if depth > _DEEPEST:
            return
        if isinstance(node, ast.Subscript):
            yield from self._inside(node.value, spot, depth + 1)
        elif isinstance(node, ast.IfExp):
            yield from self._of(node.body, spot, depth + 1)
            yield from self._of(node.orelse, spot, depth + 1)
        elif isinstance(node, ast.Name | ast.Attribute):
            if isinstance(node, ast.Attribute) and node.attr in _SAME:
                yield from self._of(node.value, spot, depth + 1)
            bound = list(self._bound(node, spot))
            for one, there in bound:
                yield from self._kept_in(one, there, depth + 1)
            # Of an object that was put away as a whole; but a leaf gets its gradient from backward, wherever it lies.
            if isinstance(node, ast.Attribute) and not bound and node.attr != "grad":
                yield from _deeper(self._of(node.value, spot, depth + 1))
        elif isinstance(node, ast.Call):
            name = called_name(node)
            if name in _TAKING and isinstance(node.func, ast.Attribute):
                yield from self._inside(node.func.value, spot, depth + 1)
            elif name == "next" and node.args:
                yield from self._inside(node.args[0], spot, depth + 1)
            else:
                for value, there in self._returned(name):
                    yield from self._of(value, there, depth + 1)

    def _kept_in(self, one: Binding, spot: Spot, depth: int) -> Iterator[Origin]:
        """What a name is by one of the statements that bind it."""
        if one.items:
            yield from self._item_of(one.value, one.path, spot, depth)
            return
        if one.statement is None:  # what a caller handed over
            yield from self._of(one.value, spot, depth)
            return
        if is_putting(one.statement):  # a field of an object that is made there
            yield Origin(spot.source, one.statement, one.value, put=True)
            return
        found = list(self._of(one.value, spot, depth))
        if isinstance(one.value, ast.Name | ast.Attribute):  # a second name: that is what kept it
            yield Origin(spot.source, one.statement, one.value, put=False)
            yield from (other for other in found if other.put)
        elif found:
            yield from found
        elif isinstance(one.value, ast.Subscript) or (
            isinstance(one.value, ast.Call) and called_name(one.value) in _ASKING
        ):
            yield Origin(spot.source, one.statement, one.value, put=False)

    def _item_of(self, node: ast.expr, path: Sequence[int], spot: Spot, depth: int) -> Iterator[Origin]:
        """What a loop variable is, by what the loop goes through and the place of the variable in its target."""
        name = called_name(node) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name == "zip" and path and path[0] < len(node.args):
            yield from self._item_of(node.args[path[0]], path[1:], spot, depth)
        elif isinstance(node, ast.Call) and name == "enumerate" and path and node.args:
            yield from self._item_of(node.args[0], path[1:], spot, depth) if path[0] else ()
        else:
            yield from self._inside(node, spot, depth)

    # ------------------------------------------------------------ what is in it

    def _inside(self, node: ast.expr, spot: Spot, depth: int) -> Iterator[Origin]:
        if depth > _DEEPEST:
            return
        if isinstance(node, ast.Name | ast.Attribute):
            for put, there in self._put_into(node, spot):
                yield from (Origin(there.source, put, value, put=True) for value in leaves_kept_by(put))
            for one, there in self._bound(node, spot):
                if one.items:
                    yield from _deeper(self._item_of(one.value, one.path, there, depth + 1))
                else:
                    yield from self._inside(one.value, there, depth + 1)
        elif isinstance(node, ast.Subscript):
            inside = self._inside(node.value, spot, depth + 1)
            yield from inside if isinstance(node.slice, ast.Slice) else _deeper(inside)
        elif isinstance(node, ast.Call):
            yield from self._inside_call(node, spot, depth)
        elif isinstance(node, ast.Starred):
            yield from self._inside(node.value, spot, depth + 1)
        else:
            yield from self._written_out(node, spot, depth)

    def _inside_call(self, node: ast.Call, spot: Spot, depth: int) -> Iterator[Origin]:
        name, statement = called_name(node), self._statement(spot.source, node)
        if statement is None:
            return
        if name in GIVING:
            yield Origin(spot.source, statement, node, put=True)
        elif name == "fromkeys":
            yield from (Origin(spot.source, statement, one, put=True) for one in node.args[1:])
        elif name in _MAKING:
            given = node.args or ([node.func.value] if isinstance(node.func, ast.Attribute) else [])
            for one in given:
                found = list(self._inside(one, spot, depth + 1))  # of another container that is copied as a whole
                yield Origin(spot.source, statement, one, put=True, levels=bool(found) and is_path(one))
                yield from found
        elif name in _THROUGH:
            for one in [node.func.value] if isinstance(node.func, ast.Attribute) else node.args:
                yield from self._inside(one, spot, depth + 1)
        else:
            for value, there in self._returned(name):
                yield from self._inside(value, there, depth + 1)
            for value, there in self._returned(name, yielded=True):
                given_out = self._statement(there.source, value)
                if given_out is not None:
                    yield Origin(there.source, given_out, value, put=True)

    def _written_out(self, node: ast.expr, spot: Spot, depth: int) -> Iterator[Origin]:
        """The items of a list or dictionary that is written out, repeated, or comprehended."""
        statement = self._statement(spot.source, node)
        if isinstance(node, ast.BinOp):
            for side in (node.left, node.right):
                yield from self._inside(side, spot, depth + 1)
            return
        for one in parts_written(node):
            deeper = list(self._inside(one, spot, depth + 1)) if isinstance(one, _OPENED) else []
            yield from deeper
            if not deeper and statement is not None and not isinstance(one, ast.Constant):
                through = list(self._of(one, spot, depth + 1)) if is_path(one) else []
                yield from (other for other in through if other.put)
                yield Origin(spot.source, statement, one, put=True)

    def _statement(self, source: int, node: ast.expr) -> ast.stmt | None:
        return self._places.codes[source].statement(node_position(node))

    # ------------------------------------------------------------ names

    def _bound(self, node: ast.Name | ast.Attribute, spot: Spot) -> Iterator[tuple[Binding, Spot]]:
        if isinstance(node, ast.Attribute):
            for source in range(len(self._places.codes)):
                for one in self.bindings(source).attributes.get(node.attr, ()):
                    yield one, Spot(source, one.position)
            return
        table = self.bindings(spot.source)
        for function in table.scopes(spot.position):
            found = table.of(function, node.id, node_position(node))
            for one in found:
                yield one, Spot(spot.source, one.position, spot.frames)
            if function is not None and node.id in parameters_of(function):
                yield from self._handed_over(function, node.id, spot)
                return
            if found:
                return

    def _handed_over(self, function: ast.stmt, name: str, spot: Spot) -> Iterator[tuple[Binding, Spot]]:
        """What the caller of a function gave it as a parameter, where the caller is known."""
        own = [number for number, frame in enumerate(spot.frames) if self._is_in(frame, spot.source, function)]
        outer = spot.frames[own[-1] + 1 :] if own else ()
        site = self._places.site(outer[0]) if outer else None
        node = self._places.codes[site.source].source_code.node(site.position) if site is not None else None
        given = argument_of(function, name, node) if isinstance(node, ast.Call) else None
        if given is not None and site is not None:
            yield Binding(None, given, site.position), Spot(site.source, site.position, outer)

    def _is_in(self, frame: StackFrame, source: int, function: ast.stmt) -> bool:
        site = self._places.site(frame)
        return (
            site.source == source and self._places.codes[source].source_code.function_around(site.position) is function
        )

    def _put_into(self, node: ast.Name | ast.Attribute, spot: Spot) -> Iterator[tuple[ast.stmt, Spot]]:
        if isinstance(node, ast.Attribute):
            for source in range(len(self._places.codes)):
                for one in self.bindings(source).puts.get((None, "." + node.attr), ()):
                    yield one, Spot(source, node_position(one))
            return
        table = self.bindings(spot.source)
        for function in table.scopes(spot.position):
            found = table.puts.get((function, node.id), ())
            yield from ((one, Spot(spot.source, node_position(one), spot.frames)) for one in found)
            if found or (function, node.id) in table.names:
                return

    def _returned(self, name: str, *, yielded: bool = False) -> Iterator[tuple[ast.expr, Spot]]:
        """What the user's functions of a name return or yield."""
        for source in range(len(self._places.codes)):
            table = self.bindings(source)
            for value in (table.yielded if yielded else table.returned).get(name, ()):
                yield value, Spot(source, node_position(value))


def _deeper(found: Iterator[Origin]) -> Iterator[Origin]:
    """Origins of what something is in."""
    return (replace(one, levels=one.levels + 1) for one in found)
