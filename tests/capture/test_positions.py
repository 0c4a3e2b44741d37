"""An instruction is told as the range of the expression that it executes, on every version of Python."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType

import pytest

from inplace.capture.code.executed import executed
from inplace.capture.code.positions import _line_of, position_of
from inplace.facts.source_code import SourceCode

TEXT = """\
h = torch.sigmoid(x).exp().add_(1); y = h * 2 + x[0]
for i in range(3):
    h.mul_(2) if i else h.relu_()

@wrapped(3)
def f(a):
    '''é'''
    with no_grad():
        return a.add_(é(1)).mul_(
            2
        )

class Net(Module):
    def forward(self, a): return [self.lin(one) - 1 for one in a.unbind()]

h += 1
h[0] = h.sum() + h.mean()
"""
SAID = [
    *("torch.sigmoid(x)", "torch.sigmoid(x).exp()", "torch.sigmoid(x).exp().add_(1)"),
    *("h * 2", "x[0]", "h * 2 + x[0]", "range(3)", "h.mul_(2)", "h.relu_()", "wrapped(3)", "h.sum()", "h.mean()"),
    *("h.sum() + h.mean()", "h[0]", "no_grad()", "é(1)", "a.add_(é(1))"),
    *("a.add_(é(1)).mul_(\n            2\n        )", "a.unbind()", "self.lin(one)", "self.lin(one) - 1"),
]


def instructions(text: str) -> Iterator[tuple[CodeType, int]]:
    """The instructions of a text at which a function can be called, with the code that they are in."""
    codes = [compile(text, "<cell>", "exec")]
    for code in codes:
        codes += [one for one in code.co_consts if isinstance(one, CodeType)]
        for one in dis.get_instructions(code):
            if one.opname.startswith(("CALL", "BINARY", "INPLACE", "STORE_SUBSCR")):
                yield code, one.offset


def test_what_a_code_does_not_say_is_found_in_its_source() -> None:
    """Calls, operators and items are found, in functions and outside: Python 3.10 notes the line only."""
    source = SourceCode(TEXT)

    found = [executed(code, offset, _line_of(code, offset), source) for code, offset in instructions(TEXT)]

    assert set(SAID) <= {source.text(position) for position in found if position is not None}


def test_an_instruction_has_the_range_of_what_it_executes() -> None:
    """The same, however it is found out; an operator in place is the whole statement."""
    source = SourceCode(TEXT)

    found = {source.text(position_of(code, offset, source)) for code, offset in instructions(TEXT)}

    assert {*SAID, "h += 1"} <= found


def test_a_line_is_told_as_its_statement() -> None:
    """Where only the number of the line is known."""
    source = SourceCode(TEXT)
    code = compile(TEXT, "<cell>", "exec")

    assert source.text(position_of(code, -10, source)).startswith("return a.add_")


@pytest.mark.parametrize("text", [None, "h = (", "\n\n", "\nh = 2\n"])
def test_a_source_that_is_not_the_codes_says_the_line(text: str | None) -> None:
    """A file that was changed, or is not there, brings no error and no wrong expression."""
    ((code, offset), *_) = instructions("\nh = 1 + f(x)\n")

    found = executed(code, offset, 2, SourceCode(text))

    assert found is None
    assert position_of(code, -2, SourceCode(text)).line == 2
