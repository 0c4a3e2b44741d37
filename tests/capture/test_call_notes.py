"""What is taken as known of a call because it was so whenever it was looked at."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

from inplace.capture.calls.functions import facts_of
from inplace.capture.calls.known import Known
from inplace.capture.record import Recorder
from tests.some import some

SAMPLES = 6  # of each operator
_sequence = torch._C._autograd._get_sequence_nr


def _made() -> Iterator[tuple[str, int, bool]]:
    """Each operator that gives out a new tensor: its name, the nodes it made, whether the last is its result's."""
    for op in some(op_db, 3):
        if torch.float32 not in op.dtypes:
            continue
        for called in filter(None, (op.op, op.method_variant)):
            facts = facts_of(called)
            if not facts.is_fresh:
                continue
            for number, sample in enumerate(op.sample_inputs("cpu", torch.float32, requires_grad=op.supports_autograd)):
                if number == SAMPLES:
                    break
                begun = _sequence()
                result: Any = called(sample.input, *sample.args, **sample.kwargs)
                nodes = _sequence() - begun
                node = getattr(result, "grad_fn", None)
                if nodes > 1 and node is not None and result._base is None:
                    yield facts.name, nodes, node._sequence_nr() == begun + nodes - 1


@pytest.mark.slow
def test_the_last_node_is_that_of_the_result() -> None:
    """Of all operators, whenever they make so many nodes: as `CallNotes.last_made` takes it to be."""
    found: dict[tuple[str, int], set[bool]] = defaultdict(set)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, nodes, is_last in _made():
            found[name, nodes].add(is_last)

    assert len(found) > 20
    assert [call for call, seen in found.items() if len(seen) > 1] == []


def test_a_node_that_is_not_the_last_is_noticed() -> None:
    """A function that makes another node after its result's is asked for its node from then on."""
    recorder = Recorder(title="test", is_cell=lambda name: False)
    known = Known(facts_of(torch.matmul))
    x = torch.ones(2, requires_grad=True)

    def calls(*, last: bool) -> int:
        begun = _sequence() - recorder._parts.notes.log.origin
        (x + 1), (result := x * 2)
        if not last:
            x * 3
        notes = recorder._parts.notes
        return notes.last_made(known, result, begun, begun + 2 + (not last)) - notes.log.origin

    looked = [calls(last=True) for _ in range(3)]
    trusted = calls(last=True)
    assert all(found < 0 for found in looked)
    assert trusted == _sequence() - recorder._parts.notes.log.origin - 1
    assert [calls(last=False) < 0, known.last] == [True, {2: 4, 3: -1}]
