"""Which tensors count together: told by their calls, guessed where there was none, and corrected when it shows."""

from __future__ import annotations

import pytest

from inplace.checks.saved_tensor_modified import StaleSave
from inplace.checks.silent_corruption import UnseenWrite
from tests.recording import record_text

# An alias that no call of ours has given out: so whose counter it has is not known, until one of the two moves.
TEXT = """
x = torch.ones(3, requires_grad=True)
y = torch.exp(x)
with torch._C.DisableTorchFunction():
    alias = y.{how}
alias.add_(1)
y.sum().backward()
"""


@pytest.mark.parametrize(("how", "kind"), [("data", UnseenWrite), ("detach()", StaleSave)])
def test_a_guessed_counter_is_corrected_when_it_moves(how: str, kind: type[UnseenWrite | StaleSave]) -> None:
    """`.data` begins at version 0 as well, but the tensor that it was taken from stays there when it is written."""
    report = record_text(TEXT.format(how=how)).report

    found = [one for one in report.findings if isinstance(one, UnseenWrite | StaleSave)]
    assert [type(one) for one in found] == [kind]
    assert [place.position.line for place in found[0].culprits] == [5]


def test_counters_are_one_where_versions_move_together() -> None:
    """A view, a detached tensor and their base count together; `.data` and a copy do not."""
    ran = record_text(
        "a = torch.zeros(3) * 1\nd = a.detach()\ne = a.data\nc = a.clone()\na[1:].add_(1)\ntorch.stack([a, d, e, c])"
    )

    given = ran.calls("stack")[0].inputs
    a, d, e, c = (ran.trace.states[argument.before] for argument in given)
    assert (d.counter, d.version) == (a.counter, a.version) == (a.counter, 1)
    assert len({a.counter, e.counter, c.counter}) == 3
    assert (e.version, c.version) == (0, 0)
