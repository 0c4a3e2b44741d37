"""Whether tensors share bytes is told exactly, for two tensors and within one."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from inplace.facts.model import Layout
from inplace.reading.trace.overlaps import Overlaps


def layout(shape: list[int], strides: list[int], itemsize: int) -> Layout:
    """A layout over as many dimensions as there are sizes."""
    return Layout(tuple(shape), tuple(strides[: len(shape)]), "any", itemsize, "cpu")


def addresses(offset: int, one: Layout) -> list[int]:
    """The first byte of each element, in row order."""
    places = itertools.product(*map(range, one.shape))
    return [
        (offset + sum(number * stride for number, stride in zip(place, one.strides or (), strict=True))) * one.itemsize
        for place in places
    ]


def bytes_of(offset: int, one: Layout) -> set[int]:
    """Every byte that a layout covers."""
    return {start + byte for start in addresses(offset, one) for byte in range(one.itemsize)}


LAYOUTS = st.builds(
    layout,
    st.lists(st.integers(0, 4), max_size=4),
    st.lists(st.integers(0, 12), min_size=4, max_size=4),
    st.sampled_from([1, 2, 4]),
)


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 20), LAYOUTS, st.integers(0, 20), LAYOUTS)
def test_two_layouts_overlap_exactly_where_they_share_a_byte(at: int, one: Layout, other: int, two: Layout) -> None:
    """The answer is that of the sets of their bytes, also for elements of another size."""
    assert Overlaps().of_layouts(at, one, other, two) == bool(bytes_of(at, one) & bytes_of(other, two))


@settings(max_examples=500, deadline=None)
@given(LAYOUTS)
def test_a_layout_overlaps_itself_exactly_where_two_elements_begin_alike(one: Layout) -> None:
    """The answer is that of going through all elements."""
    found = addresses(0, one)

    assert Overlaps().within(one) == (len(set(found)) < len(found))


def test_columns_of_a_large_matrix_are_apart() -> None:
    """Size makes no difference: neighbouring columns of 30,000 rows share no byte, a row and a column do."""
    column, row = layout([30_000], [2], 4), layout([2], [1], 4)
    overlaps = Overlaps()

    assert not overlaps.of_layouts(0, column, 1, column)
    assert overlaps.of_layouts(0, column, 20_000, row)
    assert overlaps.undecided == 0
