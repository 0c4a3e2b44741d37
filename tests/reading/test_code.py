"""What a source says of its variables: receivers, names that are given, the statement of an item."""

from __future__ import annotations

import pytest

from inplace.facts.model import Position, Source
from inplace.reading.source.code import Code


def code_and_place(text: str, piece: str) -> tuple[Code, Position]:
    """The code of one line and the place of a piece of it."""
    start = text.index(piece)
    return Code(Source("cell", "<cell>", text, is_cell=True)), Position(1, start, 1, start + len(piece))


@pytest.mark.parametrize(
    ("text", "piece", "receiver"),
    [
        ("y = h.relu_()", "h.relu_()", "h"),
        ("h.relu_()", "h.relu_()", None),
        ("y = net.weight.data.mul_(2).sum()", "net.weight.data.mul_(2)", "net.weight.data"),
        ("self.h += 1", "self.h += 1", "self.h"),
        ("h[0] = 1", "h[0] = 1", "h"),
        ("f(h)", "f(h)", None),
    ],
)
def test_what_is_written_to_is_the_receiver(text: str, piece: str, receiver: str | None) -> None:
    """Of a call that is a statement of its own none is told: `roots` has it."""
    code, position = code_and_place(text, piece)

    assert code.receiver(position) == receiver


@pytest.mark.parametrize(
    ("text", "piece", "name"),
    [
        ("y = f(x)", "f(x)", "y"),
        ("left, right = f(x), g(x)", "g(x)", "right"),
        ("a = b = f(x)", "f(x)", None),
        ("a, b = f(x)", "f(x)", None),
        ("y = f(x) + 1", "f(x)", None),
        ("y += f(x)", "f(x)", None),
        ("f(x)", "f(x)", None),
    ],
)
def test_one_name_is_given_by_an_assignment(text: str, piece: str, name: str | None) -> None:
    """To the result of its whole right side, or of the part that stands opposite."""
    code, position = code_and_place(text, piece)

    assert code.name_given(position) == name


def test_an_item_is_told_with_its_value() -> None:
    """What is written to is the target; the statement says what is put there."""
    code, position = code_and_place("h[0] = f(x)", "h[0]")

    assert code.text(code.whole(position)) == "h[0] = f(x)"
