"""Arguments that a function wrote to though its caller goes on with them: in place of its own, or of a default."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from inplace.facts.model import Call, Kind, Position, Site, StackFrame
from inplace.facts.source_code import FUNCTIONS, node_position, positional
from inplace.reading.sharing.arrays import kept_arrays
from inplace.reading.source.code import Code
from inplace.reading.trace.changes import SPARING, changes_values
from inplace.reading.trace.history import Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.place import Place

TAKING = frozenset({"__getitem__", "__getitems__", "__iter__", "collate", "collate_fn"})
SETTING = frozenset({"copy_", "fill_", "zero_", "__setitem__", "normal_", "uniform_"})
_VIEWS = 4  # views, one of the other, that are followed
_LOOKED_AT = 16  # calls behind a write that are asked whether they are the caller's


@dataclass(frozen=True, slots=True)
class WrittenArgument:
    """A write to an argument, where that was kept or handed over (`keep`), and the call that found it changed.

    `shown` is how it was spelled where it was handed over.
    """

    keep: Place
    write: Write
    read: Call
    shown: str


# ---------------------------------------------------------------- in place, to spare memory


def written_arguments(index: Index) -> Iterator[WrittenArgument]:
    """Yield the activations and dropouts that worked in place on an argument which the caller reads again."""
    seen: set[object] = set()
    for write in index.history.writes:
        call = write.call
        label = call.function.label
        if label not in SPARING or call.raised is not None or call.within is not None or call.stack in seen:
            continue
        shown = _handed_over(index, call) if changes_values(index, write) else None
        read = _read_by_caller(index, write) if shown is not None else None
        if read is not None and shown is not None:
            seen.add(call.stack)
            yield WrittenArgument(index.places.at(call.stack.frames[1], None), write, read, shown)


def _handed_over(index: Index, call: Call) -> str | None:
    """How a caller spelled what a function then wrote to, which was its parameter and is not what it gives back."""
    frames = call.stack.frames
    site = index.places.site(frames[0]) if frames[1:] else None
    if site is None:
        return None
    code = index.places.codes[site.source]
    function, written = code.source_code.function_around(site.position), _written(code, site.position)
    parameters = positional(function) if function is not None else []
    if function is None or not isinstance(written, ast.Name) or written.id not in parameters:
        return None
    if _gives_back(function, {written.id, *code.targets(site.position)}, site.position):
        return None
    node = index.places.node_at(frames[1])
    number = parameters.index(written.id) - (parameters[0] == "self")
    given = node.args if isinstance(node, ast.Call) else []
    return ast.unparse(given[number]) if 0 <= number < len(given) else None


def _written(code: Code, position: Position) -> ast.expr | None:
    """What a call at a range works on: `x` of `x.relu_()`, of `F.relu(x, inplace=True)` and of `self.drop(x)`."""
    node = code.source_code.node(position)
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute) and node.func.attr.endswith("_") and not node.args:
        return node.func.value
    return node.args[0] if node.args else None


def _gives_back(function: ast.stmt, names: set[str], position: Position) -> bool:
    """Whether a function returns or keeps one of some variables, or what stands at a range, as it is."""
    for statement in ast.walk(function):
        value = statement.value if isinstance(statement, ast.Return | ast.Yield) else None
        if isinstance(statement, ast.Assign) and not isinstance(statement.targets[0], ast.Name):
            value = statement.value  # kept in an attribute or an item
        parts = list(value.elts) if isinstance(value, ast.Tuple | ast.List) else [value]
        parts = list(value.values) if isinstance(value, ast.Dict) else parts
        for one in parts:
            if isinstance(one, ast.Name) and one.id in names:
                return True
            if one is not None and node_position(one) == position:
                return True
    return False


def _read_by_caller(index: Index, write: Write) -> Call | None:
    """The first call behind a write that is given what was written, outside of the function that wrote."""
    inner = index.places.site(write.call.stack.frames[0])
    later = [step for step, _ in index.history.sightings.get(write.before.tensor, []) if step > write.call.step]
    for step in later[:_LOOKED_AT]:
        call = index.trace.calls[step]
        sites = [index.places.site(frame) for frame in call.stack.frames]
        inside = any((site.source, site.function) == (inner.source, inner.function) for site in sites)
        if not inside and sites and call.within is None and not list(index.trace.writes(call)):
            return call
    return None


# ---------------------------------------------------------------- of a default


def written_defaults(index: Index) -> Iterator[WrittenArgument]:
    """Yield the default arguments that a function wrote to in more than one of its calls: a default is made once."""
    defaults = [list(_defaults(code)) for code in index.places.codes]
    if not any(defaults):
        return
    for maker, site, writes in written_and_made(index):
        for position, function, parameter in defaults[site.source]:
            if position.holds(site.position):
                inside = [(write, outer) for write in writes if (outer := _outer(index, write.call, site, function))]
                again = _in_another_call(index, inside, function)
                if again is not None:
                    keep = index.places.at(maker.stack.frames[0], maker.step)
                    yield WrittenArgument(keep, inside[0][0], again, parameter)


def written_and_made(index: Index) -> Iterator[tuple[Call, Site, list[Write]]]:
    """The call that made each storage that was written, where the user's code made it, and the writes."""
    for storage, writes in index.history.writes_to.items():
        origin = index.trace.tensors[index.history.tensors_of[storage][0]].origin
        maker = index.trace.calls[origin] if origin is not None and origin >= 0 else None
        if maker is not None and maker.stack.frames:
            yield maker, index.places.site(maker.stack.frames[0]), writes


def giving_calls(index: Index, write: Write) -> Iterator[Call]:
    """The call that gave out what is written, as a view of the same bytes, and those of what that is a view of."""
    tensor = write.before.tensor
    for _ in range(_VIEWS):
        origin = index.trace.tensors[tensor].origin
        call = index.trace.calls[origin] if origin is not None and origin >= 0 else None
        if call is None or call.function.kind is not Kind.OP or not call.inputs:
            return
        source = index.trace.states[call.inputs[0].before]
        if source.storage != write.before.storage:
            return
        yield call
        tensor = source.tensor


def _in_another_call(
    index: Index, inside: list[tuple[Write, tuple[StackFrame, ...]]], function: ast.stmt
) -> Call | None:
    """The first write in another call of the function than the first one was made in.

    The same line may have called it again, in a loop; then another line has run in between, as it does beside a
    generator. What is set, and not changed from what it was, may be a place for results that is to be used again.
    """
    begin = inside[0][0].call.step if inside else 0
    goes_on = any(isinstance(one, ast.Yield | ast.YieldFrom | ast.Await) for one in ast.walk(function))
    for write, outer in inside[1:]:
        call = write.call
        if outer != inside[0][1]:
            return call
        is_result = write.argument.path == "out" or call.function.label in SETTING
        if not goes_on and not is_result and _has_left(index, begin, call.step, outer):
            return call
        begin = call.step
    return None


def _has_left(index: Index, begin: int, end: int, outer: tuple[StackFrame, ...]) -> bool:
    """Whether a call between two steps was made outside of what a line, with those around it, had called."""
    columns = index.history.columns
    between = set(columns.stack[begin + 1 : end])
    return any(columns.stacks[number].frames[-len(outer) :] != outer for number in between)


def _defaults(code: Code) -> Iterator[tuple[Position, ast.stmt, str]]:
    """The default arguments that are calls: where, of which function, and of which parameter."""
    for function in code.source_code.statements:
        if isinstance(function, FUNCTIONS):
            yield from ((position, function, name) for position, name in defaults_of(function))


def defaults_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[Position, str]]:
    """The default arguments of a function that are calls: where they stand, and of which parameter they are."""
    given = function.args
    pairs = list(zip(reversed(positional(function)), reversed(given.defaults), strict=False))
    named = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    pairs += [(one.arg, default) for one, default in named if default is not None]
    for name, default in pairs:
        if isinstance(default, ast.Call):
            yield node_position(default), name


def _outer(index: Index, call: Call, made: Site, function: ast.stmt) -> tuple[StackFrame, ...]:
    """The frames around those of a function, where a call was made in it; none elsewhere."""
    code = index.places.codes[made.source].source_code
    for number, frame in enumerate(call.stack.frames):
        site = index.places.site(frame)
        if site.source == made.source and code.function_around(site.position) is function:
            return call.stack.frames[number + 1 :]
    return ()


# ---------------------------------------------------------------- of a data set


def written_items(index: Index) -> Iterator[WrittenArgument]:
    """Yield the items of data sets that a line writes in place each time they are taken out, from their old values."""
    seen: set[object] = set()
    arrays: dict[object, Write] = {}
    for writes in index.history.writes_to.values():
        lines: dict[object, Write] = {}
        erased: set[int] | None = None
        for write in writes:
            call = write.call
            depth = _taken_in(index, call)
            if depth is None or call.stack in seen:
                continue
            if call.function.label in SETTING:
                erased = _erased(index, writes) if erased is None else erased
                if call.step not in erased:
                    continue
            frame = call.stack.frames[depth]
            if _is_over_array(index, write):
                # Memory that nobody reaches through PyTorch between two items is met anew each time.
                earlier, keep = arrays.setdefault(call.stack, write), _array_kept_by(index, frame)
            else:
                key = call.stack.frames[: depth + 1], write.before.offset, write.before.layout
                earlier, keep = lines.setdefault(key, write), index.places.at(frame, None)
            text = index.spelled.text(call, write.argument.path) or ""
            # A tensor that stays the same object may count something; one that has a name of its own is the item.
            is_item = earlier.before.tensor != write.before.tensor or text.isidentifier()
            if earlier is not write and is_item and keep is not None:
                seen.add(call.stack)
                yield WrittenArgument(keep, earlier, call, text)


def _erased(index: Index, writes: list[Write]) -> set[int]:
    """When a line puts a number, which is written out, into parts of an item, and changes others each time: the steps.

    Nobody else writes to the item: it is no buffer that is filled anew.
    """
    place = index.places.of(writes[0].call)
    statement = index.places.code(place).statement(place.position) if place is not None else None
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Subscript):
        return set()
    try:
        ast.literal_eval(statement.value)
    except ValueError:
        return set()
    if any(one.call.stack != writes[0].call.stack for one in writes):
        return set()
    changed = {one.call.step for one in writes if one.before.values not in (None, one.after.values)}
    chosen = {values for one in writes if (values := _index_values(index, one)) is not None}
    unread = {one.call.step for one in writes if one.before.values is None}
    return (changed if len(changed) > 1 else set()) | (unread if len(chosen) > 1 else set())


def _index_values(index: Index, write: Write) -> object:
    """The values of the tensor by which a write chose what to change, where they are known."""
    return next((index.trace.states[one.before].values for one in write.call.inputs if one.path.startswith("1")), None)


def _taken_in(index: Index, call: Call) -> int | None:
    """The frame of a call in which a data set gives out an item."""
    for number, frame in enumerate(call.stack.frames):
        if index.places.site(frame).function.rpartition(".")[2] in TAKING:
            return number
    return None


def _is_over_array(index: Index, write: Write) -> bool:
    storage = write.before.storage
    made = index.trace.tensors[write.before.tensor].origin is not None
    return storage is not None and index.trace.storages[storage].external and not made


def _array_kept_by(index: Index, frame: StackFrame) -> Place | None:
    """Where a method makes a tensor of an array that its object keeps; None where it makes the array itself."""
    site, place = index.places.site(frame), index.places.at(frame, None)
    function = index.places.codes[site.source].source_code.function_around(site.position)
    call = next(kept_arrays(function), None) if function is not None else None
    return index.places.beside(place, node_position(call)) if call is not None else None
