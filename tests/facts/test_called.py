"""What a call does is known in each of the ways to spell it."""

from __future__ import annotations

import ast

import pytest

from inplace.facts.called import given_to, item_write, method_called, writes_by_name

ADDING = [
    "x.add_(y)",
    "torch.Tensor.add_(x, y)",
    "Tensor.add_(x, y)",
    "getattr(x, 'add_')(y)",
    "functools.partial(torch.Tensor.add_, x)(y)",
    "partial(partial(torch.Tensor.add_), x)(y)",
    "operator.methodcaller('add_', y)(x)",
    "torch.add_(x, y)",
]
SETTING = [
    "x[1:, 0] = y",
    "x.__setitem__((slice(1, None), 0), y)",
    "operator.setitem(x, (slice(1, None), 0), y)",
    "setitem(x, (slice(1, None, None), 0), y)",
    "torch.Tensor.__setitem__(x, (slice(1, None), 0), y)",
    "getattr(x, '__setitem__')((slice(1, None), 0), y)",
    "functools.partial(operator.setitem, x, (slice(1, None), 0))(y)",
    "operator.methodcaller('__setitem__', (slice(1, None), 0), y)(x)",
]
READING = ["x.add(y)", "x.__add__(y)", "operator.add(x, y)", "operator.getitem(x, 0)", "itemgetter(0)(x)", "f()(x)"]


def call(text: str) -> ast.Call:
    """The call that a text is."""
    node = ast.parse(text, mode="eval").body
    assert isinstance(node, ast.Call)
    return node


@pytest.mark.parametrize("text", ADDING)
def test_a_call_gives_its_receiver_first(text: str) -> None:
    """However the method is reached."""
    node = call(text)

    assert (method_called(node), [ast.unparse(one) for one in given_to(node)]) == ("add_", ["x", "y"])


@pytest.mark.parametrize("text", SETTING)
def test_an_item_assignment_has_a_tensor_an_index_and_a_value(text: str) -> None:
    """However it is spelled, and its index is known by dimensions."""
    written = item_write(ast.parse(text).body[0])

    assert written is not None
    assert [ast.unparse(one) for one in (written.held, written.value)] == ["x", "y"]
    assert [ast.dump(one) for one in written.parts] == [ast.dump(one) for one in _index("x[1:, 0]").elts]


def _index(text: str) -> ast.Tuple:
    node = ast.parse(text, mode="eval").body
    assert isinstance(node, ast.Subscript)
    assert isinstance(node.slice, ast.Tuple)
    return node.slice


@pytest.mark.parametrize("text", ["x[0] = y[0] = 1", "x = y", "x.__setitem__(*both)", "x.add_(y)", "pass"])
def test_another_statement_assigns_no_item(text: str) -> None:
    """Several items, none, or what is not written out."""
    assert item_write(ast.parse(text).body[0]) is None


def test_a_slice_to_an_end_is_written_with_one_argument() -> None:
    """`slice(2)` is `:2`."""
    written = item_write(ast.parse("operator.setitem(x, slice(2), y)").body[0])

    assert written is not None
    assert ast.unparse(written.parts[0]) == ":2"


@pytest.mark.parametrize("text", [*ADDING, *SETTING[1:], "operator.iadd(x, y)", "x.__imul__(y)"])
def test_writes_are_known_by_name(text: str) -> None:
    """Methods with an underscore, in-place operators and item assignments."""
    assert writes_by_name(call(text))


@pytest.mark.parametrize("text", [*READING, "super().__init__()", "x.__repr__()"])
def test_what_reads_is_no_write(text: str) -> None:
    """Operators out of place, and other special methods."""
    assert not writes_by_name(call(text))
