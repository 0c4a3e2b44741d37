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
        ("x[i] = x[i] + 1", "indices", False),
        ("x[i] = torch.rand(3) + x[i] - 1", "indices", False),
        ("x.scatter_(0, i, x[i] + 1)", "indices", False),
        ("x.index_put_((i,), x[i] + torch.ones(3))", "indices", False),
        ("torch.index_put_(x, (i,), x[i] + 1)", "indices", False),
        ("x.index_copy_(0, i, x.index_select(0, i) + torch.ones(3))", "indices", False),
        ("x.put_(i, x.take(i) - 1)", "indices", False),
        ("x.view(2, 3).scatter_(1, i[None], x.view(2, 3).gather(1, i[None]) + 1)", "indices", False),
        ("x[[1, 1, 2]] += 1", "indices", False),
        ("x.put_(torch.arange(400) % 6, x.take(torch.arange(400) % 6) + 1)", "indices", False),  # too many to differ
    ],
)
def test_the_order_of_elements_matters(text: str, how: str, *, raised: bool) -> None:
    """One byte is written twice, or read after it was written."""
    assert found(text) == [(how, 4, raised)]


STYLES = {
    "a confusion matrix in a class": (
        """
        class Confusion:
            def __init__(self, n):
                self.m = torch.zeros(n, n, dtype=torch.long)
            def update(self, seen, said):
                self.m[seen, said] += 1
        c = Confusion(3)
        for _ in range(2):
            c.update(torch.tensor([0, 0, 2]), torch.tensor([1, 1, 1]))
        """,
        5,
    ),
    "sums of clusters in a function": (
        """
        def sums(assign, points):
            out = torch.zeros(3, 2)
            out[assign] = out[assign] + points
            return out
        sums(torch.tensor([0, 1, 1]), torch.rand(3, 2))
        """,
        3,
    ),
    "two statements": ("a = torch.zeros(3)\nk = torch.tensor([2, 2])\nold = a[k]\na[k] = old + 1", 4),
    "more rows than there are": ("k = torch.randint(0, 9, (3000,))\nh = torch.zeros(9)\nh[k] += 1", 3),
    "from the front and from the end": ("a = torch.zeros(3)\nk = torch.tensor([2, -1])\na[k] += 1", 3),
    "a list under a name": ("a = torch.zeros(3)\nrows = [1, 1]\na[rows] += 1", 3),
    "a shift by a size": (
        "h = torch.zeros(2, 5)\nfor t in range(2):\n    n = h.size(1)\n    h[:, : n - 1] = h[:, 1:]\n    h[:, -1] = t",
        4,
    ),
}
SOUND = {
    "rows that are normalised": "w = torch.rand(4, 2)\nk = torch.tensor([1, 1])\nw[k] = w[k] / w[k].norm()",
    "rows that are clamped": "w = torch.rand(4)\nk = torch.tensor([1, 1])\nw[k] = (w[k] - w[k].mean()).clamp(0, 1)",
    "an average that takes one of them": (
        "w, v = torch.rand(4, 2), torch.rand(2, 2)\nk = torch.tensor([1, 1])\nw[k] = 0.9 * w[k] + 0.1 * v"
    ),
    "gathered up": (
        "w = torch.zeros(4)\nk = torch.tensor([1, 1])\nw.index_put_((k,), w[k] + 1, accumulate=True)\n"
        "w.scatter_add_(0, k, w[k])\nw.scatter_(0, k, w[k] + 1, reduce='add')"
    ),
    "another tensor was read": "w, v = torch.zeros(4), torch.rand(4)\nk = torch.tensor([1, 1])\nw[k] = v[k] + 1",
    "columns of their own": (
        "w = torch.zeros(2, 3)\nk = torch.tensor([[0, 1], [0, 2]])\nw.scatter_(1, k, w.gather(1, k) + 1)"
    ),
    "no index twice": "w = torch.zeros(9)\nfor k in torch.randperm(9).split(3):\n    w[k] += 1\nw[[1, 2]] += 1",
    "one of each kind": "w = torch.zeros(3, 3)\nw[torch.tensor([0, 0]), torch.tensor([1, 2])] += 1",
}


@pytest.mark.parametrize(("text", "line"), STYLES.values(), ids=STYLES)
def test_however_it_is_written(text: str, line: int) -> None:
    """In functions, classes and loops."""
    told = record_text(text).report.of_type(OverlappingWrite)

    assert {one.culprits[0].position.line for one in told} == {line}


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_no_update_is_lost(text: str) -> None:
    """Indices are repeated and give the same, or are not repeated, or are added up."""
    assert record_text(text).report.of_type(OverlappingWrite) == []


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
