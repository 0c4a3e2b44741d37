"""result-does-not-fit: an in-place call was refused because its result has another shape or dtype than its target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inplace.checks.finding import Cure, Finding
from inplace.facts.model import TensorId, TensorState
from inplace.reading.history import Write
from inplace.reading.index import Index
from inplace.reading.items import SET_ITEM, fits, shape_of, value_of
from inplace.reading.refusals import Why, refusals

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
_CATEGORIES = ("bool", "int", "float", "complex")  # of numbers, each of which holds those before it


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultDoesNotFit(Finding):
    """A refused in-place call: `target` and `other` are the shapes or dtypes, as `how` says, that don't go together."""

    kind = "result-does-not-fit"
    tensor: TensorId
    how: Literal["shape", "dtype"]
    target: str
    other: str

    def tensors(self) -> tuple[TensorId, ...]:
        """The tensor that was to be written to."""
        return (self.tensor,)

    def cures(self) -> tuple[Cure, ...]:
        """A cast of what is written, or a result that is a new tensor; no change of form mends a wrong shape."""
        return (Cure.CAST, Cure.OUT_OF_PLACE) if self.how == "dtype" else ()


def results_that_do_not_fit(index: Index) -> Iterator[Finding]:
    """Yield the refused calls whose arguments show that the result has no place in the target."""
    for one in refusals(index, Why.OTHER):
        found = _misfit(index, one.write)
        if found is not None:
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
