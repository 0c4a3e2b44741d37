"""The meetings of calls and tensors are the same in columns as told one by one."""

from __future__ import annotations

from collections import defaultdict

import pytest

from inplace.facts.model import TensorId
from inplace.reading.trace.history import History
from tests.oracle.programs import random_program
from tests.recording import record_text


@pytest.mark.parametrize("seed", range(12))
def test_they_are_those_of_the_calls(seed: int) -> None:
    """Before each call, after it where it changed something, and what it gave out."""
    trace = record_text(random_program(seed, 12, wide=True).text).trace
    expected = defaultdict(list)
    for call in trace.calls:
        after = [one.after for one in call.inputs if one.after != one.before]
        for state in (*(one.before for one in call.inputs), *after, *call.outputs):
            expected[trace.states[state].tensor].append((call.step, state))

    found = History(trace).sightings

    assert {tensor: list(seen) for tensor, seen in found.items()} == expected
    assert len(found) == len(expected)
    for tensor, seen in expected.items():
        assert (found[tensor][-1], list(found[tensor][1:3]), len(found[tensor])) == (seen[-1], seen[1:3], len(seen))


def test_of_a_tensor_that_no_call_met_there_are_none() -> None:
    """Below, between and above the known ones."""
    found = History(record_text("x = torch.ones(2)\nx.add_(1)").trace).sightings

    assert [found.get(TensorId(number)) for number in (-1, 99)] == [None, None]
    assert TensorId(99) not in found
