"""Changes to a source: what is made of two texts, made again, gives the second."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from inplace.fixes.editing import applied, difference

LINES = st.lists(st.sampled_from(["a", "b", "c", "  d"]), min_size=1, max_size=6)
TEXTS = LINES.map(lambda lines: "\n".join(lines) + "\n")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(old=TEXTS, new=TEXTS)
def test_a_difference_made_is_the_other_text(old: str, new: str) -> None:
    """Whatever was put in, taken out or changed; some line of the old text is in it, so that it can be shown there."""
    rewrite = difference("file", old, new)

    assert applied(old, rewrite) == new
    assert rewrite.old or old == new or new.startswith(old)


def test_a_line_put_in_is_told_with_the_one_below() -> None:
    """Nothing is taken out, so a line that stays says where."""
    rewrite = difference("file", "a\nb\n", "a\nx\nb\n")

    assert (rewrite.line, rewrite.old, rewrite.new) == (2, "b", "x\nb")
