"""When two tensors, or two elements of one, share bytes: the corners by name."""

from __future__ import annotations

import pytest

from inplace.facts.model import Layout
from inplace.reading.trace.overlaps import Overlaps


def layout(shape: tuple[int, ...], strides: tuple[int, ...] | None, itemsize: int = 4) -> Layout:
    """A layout on the CPU."""
    return Layout(shape, strides, "float32", itemsize, "cpu")


def test_tensors_that_lie_between_each_other_do_not_overlap() -> None:
    """Two columns of one matrix share no byte, though their spans do; neighbours do not even share these."""
    column = layout((3,), (2,))

    assert not Overlaps().of_layouts(0, column, 1, column)
    assert Overlaps().of_layouts(0, column, 2, column)
    assert not Overlaps().of_layouts(0, layout((2,), (1,)), 2, layout((2,), (1,)))
    assert Overlaps().of_layouts(0, layout((3,), (1,)), 2, layout((2,), (1,)))


def test_items_of_other_sizes_are_compared_by_their_bytes() -> None:
    """A tensor that lies in the gaps of another does not overlap it, whatever its elements are; one byte is enough."""
    wide = layout((3,), (2,))

    assert not Overlaps().of_layouts(0, wide, 2, layout((3,), (4,), itemsize=2))
    assert Overlaps().of_layouts(0, wide, 1, layout((3,), (4,), itemsize=2))


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
    assert Overlaps().within(layout(shape, strides)) == found
