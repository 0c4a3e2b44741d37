"""Positions of the user's source: lines as Python counts them, columns in bytes, and the syntax around a range."""

from __future__ import annotations

import ast

import pytest

from inplace.facts.model import Position, Source
from inplace.facts.source_code import SourceCode, node_position

TEXT = """\
é = "ü"; h = f(é)  # why
for i in range(3):
    with lock:
        h += (
            g(h)
        )
    if h: h.mul_(2)
else:
    match h:
        case 1:
            k = h
try:
    pass
except ValueError:
    z = 1
"""


def source_of(text: str | None) -> Source:
    """A source with a text."""
    return Source("cell", "<cell>", text, is_cell=True)


@pytest.mark.parametrize("letter", ["\f", "\v", "\x1c", "\x85", "\u2028"])
def test_lines_are_those_of_python(letter: str) -> None:
    """Python ends a line at a line feed, a carriage return or both, and at nothing else that `str.splitlines` takes."""
    text = f"a = '{letter}'\r\nb = 1\rc = [\n]\n"

    assert source_of(text).lines() == SourceCode(text).lines == (f"a = '{letter}'", "b = 1", "c = [", "]")
    assert ast.parse(text).body[-1].end_lineno == len(SourceCode(text).lines)


def test_a_source_without_text_has_nothing() -> None:
    """It has no lines and no nodes, and no place in it is known."""
    code, anywhere = SourceCode(None), Position(1, 0, 1, 3)

    assert (source_of(None).lines(), code.lines, code.nodes[1:]) == ((), (), ())
    assert (code.text(anywhere), code.line(1), code.node(anywhere), code.statement(anywhere)) == ("", "", None, None)
    assert (code.column(1, 2), code.is_alone(anywhere)) == (2, False)


@pytest.mark.parametrize("text", ["h = = 1", "h = '\0'", "\ud800", "h = " + "(" * 500, "h = " + "-" * 100_000 + "1"])
def test_a_text_that_does_not_parse_has_lines(text: str) -> None:
    """Its tree is empty; its lines can be shown."""
    code = SourceCode(text)

    assert (code.tree.body, code.lines) == ([], (text,))


def test_a_text_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked, and never where nothing is asked of the syntax."""
    parsed = []
    parse = ast.parse
    monkeypatch.setattr(ast, "parse", lambda text: parsed.append(text) or parse(text))
    code = SourceCode(TEXT)
    assert (code.line(2), parsed) == ("for i in range(3):", [])

    for position in [node_position(one) for one in code.statements]:
        assert code.node(position) is not None
        assert code.statement(position) is not None

    assert parsed == [TEXT]


def test_a_range_has_its_text_in_bytes() -> None:
    """Columns count UTF-8 bytes; in characters they are fewer."""
    code = SourceCode(TEXT)
    call = next(node for node in code.nodes if isinstance(node, ast.Call) and node.lineno == 1)

    assert (code.text_of(call), call.col_offset, code.column(1, call.col_offset)) == ("f(é)", 15, 13)
    assert code.text(Position(4, 8, 6, 9)) == "h += (\n            g(h)\n        )"


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        (1, ["Assign"]),
        (5, ["For", "With", "AugAssign"]),
        (7, ["For", "If", "Expr"]),
        (11, ["For", "Match", "Assign"]),
        (13, ["Try", "Pass"]),
        (15, ["Try", "Assign"]),
    ],
)
def test_statements_around_are_told_from_the_outside(line: int, kinds: list[str]) -> None:
    """Loops, blocks, cases and handlers are gone into; the last is the innermost."""
    code = SourceCode(TEXT)
    node = [node for node in code.nodes if isinstance(node, ast.expr | ast.Pass) and node.lineno == line][-1]

    found = code.statements_around(node_position(node))

    assert [type(one).__name__ for one in found] == kinds
    assert code.statement(node_position(node)) is found[-1]
    assert all(one in code.block_of(one) for one in found)


def test_a_node_is_found_by_its_range() -> None:
    """An expression that is a statement of its own is told as the expression; an assignment is a statement."""
    code = SourceCode("h.relu_()\nh = 1\nf'{h}'\n")

    found = [code.node(Position(line, 0, line, len(code.line(line)))) for line in (1, 2, 3)]

    assert [type(one) for one in found] == [ast.Call, ast.Assign, ast.JoinedStr]
    assert code.node(Position(1, 0, 1, 3)) is None


@pytest.mark.parametrize(("line", "text"), [(1, "h = f(é)"), (2, "for i in range(3):"), (5, "h += (\n"), (8, "else:")])
def test_a_line_stands_for_its_last_simple_statement(line: int, text: str) -> None:
    """Where a line has none, it is all that stands on it."""
    code = SourceCode(TEXT)

    assert code.text(code.on_line(line)).startswith(text)


def test_a_statement_is_alone_on_its_lines_beside_a_comment() -> None:
    """Another statement on the line, or a block that begins there, makes it not alone."""
    code = SourceCode("a = 1; b = 2\nif a: c = 3\nd = (\n)  # e\n")

    found = {code.text_of(one).split()[0]: code.is_alone(node_position(one)) for one in code.statements}

    assert found == {"a": False, "b": False, "if": True, "c": False, "d": True}
