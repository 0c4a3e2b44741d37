"""Which bytes a layout covers, and when two tensors, or two elements of one, share some."""

from __future__ import annotations

import pytest

from inplace.facts.model import Layout
from inplace.reading.extents import layouts_overlap, overlaps_itself, span


def layout(shape: tuple[int, ...], strides: tuple[int, ...] | None, itemsize: int = 4) -> Layout:
    """A layout on the CPU."""
    return Layout(shape, strides, "float32", itemsize, "cpu")


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "found"),
    [
        (0, (3,), (1,), range(12)),
        (2, (2, 2), (4, 1), range(8, 8 + 24)),  # the gap is in it, nothing behind the last element
        (1, (), (), range(4, 8)),
        (3, (0,), (1,), range(0)),
        (0, (3,), (0,), range(4)),
    ],
)
def test_a_span_goes_from_the_first_element_to_the_last(
    offset: int, shape: tuple[int, ...], strides: tuple[int, ...], found: range
) -> None:
    """Both included, and no more."""
    assert span(offset, layout(shape, strides)) == found


def test_tensors_that_lie_between_each_other_do_not_overlap() -> None:
    """Two columns of one matrix share no byte, though their spans do; neighbours do not even share these."""
    column = layout((3,), (2,))

    assert not layouts_overlap(0, column, 1, column)
    assert layouts_overlap(0, column, 2, column)
    assert not layouts_overlap(0, layout((2,), (1,)), 2, layout((2,), (1,)))
    assert layouts_overlap(0, layout((3,), (1,)), 2, layout((2,), (1,)))


def test_items_of_other_sizes_are_compared_by_span() -> None:
    """Where elements can't be counted alike, a tensor that lies in the gaps of another counts as overlapping it."""
    assert layouts_overlap(0, layout((3,), (2,)), 1, layout((3,), (2,), itemsize=2))


@pytest.mark.parametrize(
    ("shape", "strides", "found"),
    [
        ((2, 3), (3, 1), False),
        ((2, 3), (1, 2), False),
        ((3,), (0,), True),
        ((1, 3), (0, 1), False),  # of a single one there is no second
        ((3, 2), (1, 1), True),
        ((2, 2), (1, 1), True),
        ((2, 3), (2, 1), True),
        ((0, 3), (0, 1), False),
        ((2, 2), (3, 2), False),  # neither is a multiple of the other, and no two are the same
    ],
)
def test_elements_of_one_tensor_may_share_bytes(
    shape: tuple[int, ...], strides: tuple[int, ...], *, found: bool
) -> None:
    """As `expand` and `unfold` make them."""
    assert overlaps_itself(layout(shape, strides)) == found
