"""Writes that are spelled as calls: they are found as the plain ones are, and a change that is shown mends them."""

from __future__ import annotations

import pytest

from inplace.fixes.editing import applied
from tests.recording import record_text

LOUD = ("error", "warning")
IMPORTS = "import functools, operator\nimport torch.nn.functional as F\n"
SHIFT = "buf = torch.arange(5.)\n{write}\nprint(buf)"
MASK = "alive = torch.tensor([True, True, False])\n{write}\nprint(alive)"
ROWS = "p = torch.rand(3, 2)\nm = torch.tensor([True, False, True])\n{write}\np.sum()"
LOOP = "feats = torch.rand(3, 2, requires_grad=True) * 1\nfor row in feats:\n    {write}\nfeats.sum().backward()"
WIDE = "out = torch.zeros(2, 3)\n{write}"
SET = ["operator.setitem({}, {}, {})", "{}.__setitem__({}, {})", "torch.Tensor.__setitem__({}, {}, {})"]
SET += ["getattr({}, '__setitem__')({}, {})", "functools.partial(operator.setitem, {}, {})({})"]
SET += ["operator.methodcaller('__setitem__', {1}, {2})({0})"]
DIV = ["getattr(row, 'div_')(row.norm())", "operator.itruediv(row, row.norm())", "row.__itruediv__(row.norm())"]
DIV += ["functools.partial(torch.Tensor.div_, row)(row.norm())", "torch.Tensor.__itruediv__(row, row.norm())"]
DIV += ["operator.methodcaller('div_', row.norm())(row)", "row.copy_(row * 2)"]
BUGS = {
    "overlapping-write": [
        *(SHIFT.format(write=one.format("buf", "slice(1, None)", "buf[:-1]")) for one in SET),
        *(SHIFT.format(write=one.format("buf", "slice(None, -1)", "buf[1:]")) for one in SET),
        *(MASK.format(write=one.format("alive", "alive", "torch.ones(2) > 3")) for one in SET),
        SHIFT.format(write="operator.iadd(buf[1:], buf[:-1])"),
        SHIFT.format(write="torch.Tensor.add_(buf[1:], buf[:-1])"),
        SHIFT.format(write="torch.add(buf[:-1], 1, out=buf[1:])"),
        SHIFT.format(write="buf[1:].addcmul_(torch.ones(4), buf[:-1])"),
    ],
    "lost-write": [ROWS.format(write=one.format("p[m]", "(slice(None), 0)", "torch.ones(2)")) for one in SET],
    "multi-output-view-inplace": [
        *(LOOP.format(write=one) for one in DIV),
        LOOP.format(write="F.relu(row, inplace=True)"),
    ],
    "result-does-not-fit": [
        WIDE.format(write=one.format("out", "(slice(None), slice(None))", "torch.ones(2, 2)")) for one in SET
    ],
}
ALL = [(kind, text) for kind, texts in BUGS.items() for text in texts]
SOUND = [
    *(SHIFT.format(write=one.format("buf", "slice(1, None)", "buf[:-1].clone()")) for one in SET),
    *(SHIFT.format(write=one.format("buf", "slice(None, 2)", "buf[3:]")) for one in SET),
    *(MASK.format(write=one.format("alive", "alive.clone()", "torch.ones(2) > 3")) for one in SET),
    *(ROWS.format(write=one.format("p[1:]", "(slice(None), 0)", "torch.ones(2)")) for one in SET),
    *(WIDE.format(write=one.format("out", "(slice(None), slice(None, 2))", "torch.ones(2, 2)")) for one in SET),
    *(LOOP.replace("feats:", "feats.detach().clone().unbind():").format(write=one) for one in DIV),
]


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_a_bug_is_found_in_each_spelling(kind: str, text: str) -> None:
    """Of the kind that the plain statement has."""
    found = [one.kind for one in record_text(IMPORTS + text).report.findings if one.severity in LOUD]

    assert found == [kind]


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_a_change_that_is_shown_mends_it(kind: str, text: str) -> None:
    """With it nothing raises, and nothing is found."""
    recorded = record_text(IMPORTS + text)

    for one in recorded.report.findings:
        if one.kind == kind and one.rewrite is not None:
            again = record_text(applied(IMPORTS + text, one.rewrite))
            assert again.error is None
            assert [other.kind for other in again.report.findings if other.severity in LOUD] == []


@pytest.mark.parametrize("text", SOUND)
def test_sound_twins_are_told_of_nothing(text: str) -> None:
    """A copy that is read, parts that lie apart, views, fitting shapes, pieces that nobody wants a gradient of."""
    assert [one.kind for one in record_text(IMPORTS + text).report.findings if one.severity in LOUD] == []


@pytest.mark.parametrize("how", SET[:2])
def test_the_value_is_what_is_copied(how: str) -> None:
    """Not the tensor that is written, nor the index."""
    text = IMPORTS + SHIFT.format(write=how.format("buf", "slice(1, None)", "buf[:-1]"))
    (found,) = [one for one in record_text(text).report.findings if one.severity in LOUD]

    assert found.rewrite is not None
    assert found.rewrite.new == how.format("buf", "slice(1, None)", "buf[:-1].clone()")
