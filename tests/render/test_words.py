"""Sentences that depend on what was measured, or on what was written to."""

from __future__ import annotations

import pytest

from inplace.checks.graph_detached import Cut
from inplace.checks.lost_write import LostWrite
from inplace.checks.saved_tensor_modified import StaleSave
from inplace.render.words.graph_detached import WORDS
from inplace.render.words.setting import columns, safe
from inplace.render.words.telling import facts, fix_summary
from tests.recording import record_text


@pytest.mark.parametrize(
    ("write", "said"),
    [
        ("y.add_(1)", ""),  # the bytes that were saved: nothing that the other sentences don't say
        ("y[1:].add_(1)", "Of 16 bytes, 0 to 16 were saved and 4 to 16 written."),
    ],
)
def test_bytes_are_told_where_they_are_not_the_same(write: str, said: str) -> None:
    """Which were saved and which were written."""
    ran = record_text(f"x = torch.ones(4, requires_grad=True)\ny = torch.exp(x)\n{write}\ny.sum().backward()")

    assert facts(ran.report.of_type(StaleSave)[0], ran.trace) == said


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("w", "Have a copy saved: y = (w.clone() ** 2).sum()."),
        ("w = w * 1\nw", "Move it behind the backward() that needs the old values."),
    ],
    ids=["a leaf", "a result"],
)
def test_an_update_of_a_leaf_has_no_other_form(made: str, said: str) -> None:
    """Out of place it would not be that leaf any more."""
    first, _, name = made.rpartition("\n")
    lines = ["w = torch.ones(3, requires_grad=True)", *([first] if first else []), f"y = ({name} ** 2).sum()"]
    ran = record_text("\n".join([*lines, "with torch.no_grad():", "    w.add_(1)", "y.backward()"]))

    assert fix_summary(ran.report.of_type(StaleSave)[0], ran.trace) == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("w.clamp(-1, 1)", "Keep the result: w = w.clamp(-1, 1), or write in place where a method clamp_(...) does."),
        ("F.normalize(w, dim=-1)", "Keep the result: w = F.normalize(w, dim=-1)."),
    ],
    ids=["a method", "a function"],
)
def test_a_dropped_result_is_kept_as_its_line_gives_it(line: str, said: str) -> None:
    """Not as a method that a tensor may not have, and under the name that the line works on."""
    ran = record_text(f"import torch.nn.functional as F\nw = torch.ones(3)\nv = w * 2\n{line}\nu = w + v\nprint(u)")

    assert fix_summary(ran.report.of_type(LostWrite)[0], ran.trace) == said


def test_a_copied_module_is_told_as_copies() -> None:
    """The line has no `.data` to leave out."""
    ran = record_text("""
        import copy
        net = nn.Linear(2, 1)
        opt = torch.optim.SGD(net.parameters(), lr=0.1)
        trained = copy.deepcopy(net)
        for _ in range(3):
            opt.zero_grad()
            trained(torch.ones(3, 2)).sum().backward()
            opt.step()
        """)

    (cut,) = ran.report.of_type(Cut)
    assert cut.how == "deepcopy"
    assert ".data" not in " ".join([*WORDS.sentences(cut, ran.trace), fix_summary(cut, ran.trace)])


def test_text_cannot_drive_a_terminal() -> None:
    """What would move the cursor, colour what follows or turn the direction of writing is shown instead."""
    assert safe("a\x1b[31mb\r\u202ec\n") == "a\\x1b[31mb\\r\\u202ec\n"
    assert columns("aü漢e\u0301") == 5
