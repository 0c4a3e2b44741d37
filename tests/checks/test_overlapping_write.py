"""Writes whose result hangs on the order of elements, and near twins whose result does not."""

from __future__ import annotations

import pytest

from inplace.checks.overlapping_write import OverlappingWrite
from tests.recording import record_text


def found(text: str) -> list[tuple[str, int, bool]]:
    """How each write overlaps, on which line, and whether it raised."""
    ran = record_text("x = torch.arange(6.0)\ni = torch.tensor([0, 0, 2])\nj = torch.tensor([0, 1, 2])\n" + text)
    return [(one.how, one.culprits[0].position.line, one.raised) for one in ran.report.of_type(OverlappingWrite)]


@pytest.mark.parametrize(
    ("text", "how", "raised"),
    [
        ("x[:1].expand(3).add_(1)", "expanded", True),
        ("x[1:].add_(x[:-1])", "partial", True),
        ("x[1:] = x[:-1]", "partial", True),
        ("x[i] += 1", "indices", False),
    ],
)
def test_the_order_of_elements_matters(text: str, how: str, *, raised: bool) -> None:
    """One byte is written twice, or read after it was written."""
    assert found(text) == [(how, 4, raised)]


@pytest.mark.parametrize(
    "text",
    [
        "x[:1].expand(3).fill_(1)",  # the same value, in whatever order
        "x.add_(x)",  # each element reads itself only
        "x.add_(x.view(6))",
        "x[:3].add_(x[:3])",
        "x[1:] = x[:-1].clone()",
        "x[3:] = x[:3]",
        "x[3:].add_(x[:3])",
        "x[j] += 1",
        "x[i] = 1.0",  # nothing was read
        "y = x[i]\nx[j] = y",  # read at repeated indices, but by another statement, and written once
    ],
)
def test_the_order_of_elements_does_not_matter(text: str) -> None:
    """No byte is read and written, or each by the same element."""
    assert found(text) == []
