"""What a source says around a place: what is assigned, from what, and by which name."""

from __future__ import annotations

import ast

import pytest

from inplace.facts.model import Position, Source
from inplace.reading.source.code import Code

TEXT = """\
h = f(1)
left, right = h[:2], h[2:]
h = g(2)
h[0], k = 1, h
items.append(h)
total += h.sum()
x[1, 2:] = h
"""


@pytest.fixture
def code() -> Code:
    """The source."""
    return Code(Source("cell", "<cell>", TEXT, is_cell=True))


def position(text: str, nth: int = 0) -> Position:
    """Where a piece of the source is."""
    found = [node for node in ast.walk(ast.parse(TEXT)) if isinstance(node, ast.expr) and ast.unparse(node) == text]
    node = sorted(found, key=lambda one: (one.lineno, one.col_offset))[nth]
    return Position(node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)


def test_each_part_of_a_tuple_has_its_own_name(code: Code) -> None:
    """`left, right = h[:2], h[2:]` names two results."""
    assert code.assigned_from(position("h[:2]")) == ("left",)
    assert code.assigned_from(position("h[2:]")) == ("right",)


def test_a_part_of_an_expression_has_no_name(code: Code) -> None:
    """What is assigned is the whole right side."""
    assert code.assigned_from(position("f(1)")) == ("h",)
    assert code.assigned_from(position("h.sum()")) == ("total",)
    assert code.assigned_from(position("h", -1)) == ("x[1, 2:]",)
    assert code.assigned_from(position("h[2:]")) != ("h",)


@pytest.mark.parametrize(("line", "found"), [(1, 1), (2, 1), (3, 3), (7, 3)])
def test_the_last_assignment_above_a_line_counts(code: Code, line: int, found: int) -> None:
    """Those below it have not run yet."""
    above = code.assignment_above(Position(line, 0, line, 1), "h")

    assert above is not None
    assert above.line == found


def test_items_put_into_a_container(code: Code) -> None:
    """By a method, or by an index."""
    assert [found.line for found in code.items_put_into(frozenset({"items", "x"}))] == [7, 5]


def test_an_index_of_numbers_is_read(code: Code) -> None:
    """Of one item; not of several targets."""
    assert code.indexed(position("x[1, 2:]")) == (1, slice(2, None, None))
    assert code.indexed(position("h[0]")) is None
