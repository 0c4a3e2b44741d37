"""result-does-not-fit: an in-place call was refused because its result has another shape or dtype than its target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Cure, Finding, Victim
from inplace.facts.model import TensorId, TensorState
from inplace.reading.trace.definitions import is_write
from inplace.reading.trace.ending import Ending
from inplace.reading.trace.history import SET_ITEM, Write
from inplace.reading.trace.index import Index
from inplace.reading.trace.items import fits, shape_of, value_of
from inplace.reading.trace.place import Place
from inplace.reading.writes.refusals import Why, refusals

# Functions of which each element of the result comes from the elements at the same place.
_ELEMENTWISE = frozenset(
    [
        "add_", "addcdiv_", "addcmul_", "bitwise_and_", "bitwise_or_", "bitwise_xor_", "copy_", "div_", "divide_",
        "eq_", "float_power_", "floor_divide_", "fmod_", "ge_", "gt_", "hypot_", "le_", "lerp_", "logical_and_",
        "logical_or_", "logical_xor_", "lt_", "masked_fill_", "mul_", "multiply_", "ne_", "pow_", "remainder_",
        "sub_", "subtract_", "true_divide_", "xlogy_",
    ]
)  # fmt: skip
_DIVIDING = frozenset({"div_", "divide_", "true_divide_", "float_power_", "xlogy_"})  # integers become floats
_TAKING_ANY = frozenset({"copy_", "masked_fill_", "lerp_"})  # another kind of number is cast, or refused otherwise
_SAME_DTYPE = {"scatter_add_": "3", "scatter_": "3", "index_add_": "3", "index_copy_": "3", "masked_scatter_": "2"}
_SOURCES = frozenset({"src", "source"})
_ANYWHERE = frozenset({"sizes", "expanded"})  # said of calls that write nothing too
_DTYPES = {  # the names of `c10/core/ScalarType.h`, which texts have
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Bool": "bool",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
}
_CATEGORIES = ("bool", "int", "float", "complex")  # of numbers, each of which holds those before it


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultDoesNotFit(Finding):
    """A refused in-place call: `target` and `other` are the shapes or dtypes, as `how` says, that don't go together.

    Empty where they are not known. A `gradient` has another dtype than what it is the gradient of, which shows in
    backward; then the culprit is the call that was given both dtypes.
    """

    kind = "result-does-not-fit"
    tensor: TensorId | None
    how: Literal["shape", "dtype", "gradient"]
    target: str
    other: str

    def tensors(self) -> tuple[TensorId, ...]:
        """The tensor that was to be written to."""
        return () if self.tensor is None else (self.tensor,)

    def cures(self) -> tuple[Cure, ...]:
        """A cast of what is written, or a result that is a new tensor; no change of form mends a wrong shape."""
        return (Cure.CAST, Cure.OUT_OF_PLACE) if self.how == "dtype" else (Cure.MADE_OF_ARGUMENT,)


def results_that_do_not_fit(index: Index) -> Iterator[Finding]:
    """Yield the refused calls whose arguments show that the result has no place in the target."""
    told = False
    for one in refusals(index, Why.OTHER):
        found = _misfit(index, one.write)
        if found is not None:
            told = True
            how, target, other = found
            yield ResultDoesNotFit(
                severity="error",
                culprits=index.places.chain(one.write.call),
                victim=None,
                names=one.names(index),
                tensor=one.write.before.tensor,
                how=how,
                target=target,
                other=other,
            )
    if not told and index.ending is not None:
        yield from _of_ending(index, index.ending)


def _of_ending(index: Index, ending: Ending) -> Iterator[Finding]:
    """What PyTorch says does not fit, where the line is an in-place one; else that is about other functions too."""
    said = _said(ending)
    statement = index.places.code(ending.place).source_code.node(ending.place.position)
    in_place = statement is not None and is_write(statement)
    if said is None or (ending.what in _ANYWHERE and not in_place):
        return
    how, target, other = said
    mixed = _mixed(index, ending) if how == "gradient" else ()
    if how == "gradient" and not mixed:
        return
    written = index.names.at(ending.place)[:1]
    found = ending.first(lambda _: True)
    there = next(((name, state) for name, state in ending.there if name in written), found)
    yield ResultDoesNotFit(
        severity="error",
        culprits=mixed or ending.places,
        victim=Victim.at(ending.place) if mixed else None,
        names=index.names.told(first=written, places=[*mixed, ending.place], last=[name for name, _ in ending.there]),
        tensor=there[1].tensor if there is not None and not mixed else None,
        how=how,
        target=target,
        other=other,
        at=len(index.trace.calls),
    )


def _said(ending: Ending) -> tuple[Literal["shape", "dtype", "gradient"], str, str] | None:
    """What PyTorch's text says of the two: of the target first."""
    match ending.what, ending.parts:
        case (("broadcast" | "sizes" | "expanded"), (target, other)):
            return "shape", target, other
        case "indexed", (other, target):
            return "shape", target, other
        case "more elements", _:
            return "shape", "", ""
        case "cast", (other, target):
            return "dtype", _DTYPES.get(target, target), _DTYPES.get(other, other)
        case (("put dtypes" | "same dtype"), (target, other)):
            return "dtype", _DTYPES.get(target, target), _DTYPES.get(other, other)
        case "same dtype", _:
            return "dtype", "", ""
        case "found dtype", (other, target):
            return "gradient", _DTYPES.get(target, target), _DTYPES.get(other, other)
    return None


def _mixed(index: Index, ending: Ending) -> tuple[Place, ...]:
    """The last call before the backward that raised which was given tensors of the two dtypes, or that call itself."""
    wanted = {_DTYPES.get(part, part) for part in ending.parts}
    before = len(index.trace.calls) if ending.call is None else ending.call.step + 1
    for call in index.history.calls_at(range(before - 1, -1, -1)):
        if wanted <= {index.trace.states[one.before].layout.dtype for one in call.inputs}:
            return index.places.chain(call)
    return ()


def _misfit(index: Index, write: Write) -> tuple[Literal["shape", "dtype"], str, str] | None:
    label, state = write.call.function.label, write.before
    if label == SET_ITEM:
        return _misfit_of_item(index, write)
    others = [index.trace.states[one.before] for one in write.call.inputs if one is not write.argument]
    if label in _ELEMENTWISE:
        wide = next((one for one in others if not fits(one.layout.shape, state.layout.shape)), None)
        if wide is not None:
            return "shape", _shape(state.layout.shape), _shape(wide.layout.shape)
        result = _result_category(label, [state, *others])
        if label not in _TAKING_ANY and _category(state) < result:
            return "dtype", state.layout.dtype, _CATEGORIES[result]
    if label in _SAME_DTYPE:
        paths = {_SAME_DTYPE[label], *_SOURCES}
        source = next((index.trace.states[one.before] for one in write.call.inputs if one.path in paths), None)
        if source is not None and source.layout.dtype != state.layout.dtype:
            return "dtype", state.layout.dtype, source.layout.dtype
    return None


def _misfit_of_item(index: Index, write: Write) -> tuple[Literal["shape", "dtype"], str, str] | None:
    value, shape = value_of(index, write), shape_of(index, write)
    if value is not None and shape is not None and not fits(value.layout.shape, shape):
        return "shape", _shape(shape), _shape(value.layout.shape)
    indexed = any(one.path.split("[")[0] == "1" for one in write.call.inputs)  # by a tensor: nothing is cast then
    if value is not None and indexed and value.layout.dtype != write.before.layout.dtype:
        return "dtype", write.before.layout.dtype, value.layout.dtype
    return None


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _category(state: TensorState) -> int:
    dtype = state.layout.dtype
    if dtype == "bool":
        return 0
    return 3 if "complex" in dtype else 2 if "float" in dtype else 1


def _result_category(label: str, given: list[TensorState]) -> int:
    """The kind of number that a function gives out for what it is given (`c10/core/ScalarType.h`, promoteTypes)."""
    highest = max(map(_category, given))
    return max(highest, 2) if label in _DIVIDING else highest
