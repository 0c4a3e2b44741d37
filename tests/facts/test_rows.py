"""The long sequences of a trace say the same of their items, whether they are built or taken as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inplace.facts.model import Trace
from inplace.facts.rows import Rows, call_columns, column
from tests.oracle.programs import random_program
from tests.recording import record_text

FIELDS = {
    "states": ("tensor", "storage", "counter", "requires_grad", "is_leaf"),
    "tensors": ("origin", "first_seen", "died"),
    "storages": ("bytes", "born", "died"),
}
WORDS = """
    y = torch.ones(4)
    for _ in range(3):
        torch.exp(torch.ones(4), out=y)
        parts = torch.stack([y, y]).max(0)
    s = torch.sparse_coo_tensor([[0]], [1.0], (2,))
    v = torch.from_numpy(y.numpy())[1:]
    with torch.inference_mode():
        v + 1
    torch.nn.BatchNorm1d(2)(torch.ones(2, 2))
    y.resize_(10_000)
    torch.mm(y, y)
"""


def check(trace: Trace) -> None:
    """Compare columns with those of plain lists, and what was found in them with what each item says."""
    for name, wanted in FIELDS.items():
        rows = getattr(trace, name)
        for field in wanted:
            assert list(column(rows, field)) == list(column(list(rows), field)), (name, field)

    calls = list(trace.calls)
    kept, built = call_columns(trace.calls), call_columns(calls)
    assert plain(kept) == plain(built)
    assert kept.may_write == built.may_write
    assert {call.step for call in calls if any(True for _ in trace.writes(call))} <= set(kept.may_write)
    for number, _ in enumerate(trace.states):
        seen = [
            call.step
            for call in calls
            if number in {*call.outputs, *(n for one in call.inputs for n in (one.before, one.after))}
        ]
        states = [one == number for one in range(len(trace.states))]
        assert kept.seeing(states) == built.seeing(states) == seen


def plain(columns: Any) -> dict[str, Any]:
    """Columns with what their numbers stand for."""
    found = {field.name: list(getattr(columns, field.name)) for field in fields(columns) if field.name != "raised"}
    functions, stacks, paths = (found.pop(name) for name in ("functions", "stacks", "paths"))
    firsts = found.pop("first_output")
    return {
        **found,
        "function": [functions[number] for number in found["function"]],
        "stack": [stacks[number] for number in found["stack"]],
        "path": [paths[number] for number in found["path"]],
        "first_output": [first for first, count in zip(firsts, found["output_count"], strict=True) if count],
        "raised": columns.raised,
    }


def test_columns_of_words() -> None:
    """Of calls with lists, keywords, several outputs or none, storages that nobody can read, and an error."""
    check(record_text(WORDS).trace)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(min_value=20_000, max_value=10_000_000))
def test_columns_of_random_programs(seed: int) -> None:
    """Of programs nobody has thought of."""
    check(record_text(random_program(seed).text).trace)


class Squares(Rows[int]):
    """Counts what it builds."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.built: list[int] = []

    def _build(self, place: int) -> int:
        self.built.append(place)
        return place * place


def test_rows_are_a_sequence() -> None:
    """They can be had by number from either end, as slices, in turn, and compared."""
    rows = Squares(5)

    assert isinstance(rows, Sequence)
    assert (len(rows), rows[2], rows[-1], rows[1:3]) == (5, 4, 16, [1, 4])
    assert list(rows) == [0, 1, 4, 9, 16] == list(reversed(list(reversed(rows))))
    assert rows == (0, 1, 4, 9, 16)
    assert rows != [0, 1]
    for wrong in (5, -6):
        with pytest.raises(IndexError):
            rows[wrong]


def test_items_stay_built_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """An item that is asked for twice is built once, and a long look keeps no more than so many."""
    monkeypatch.setattr("inplace.facts.rows._KEPT", 3)
    rows = Squares(10)

    assert [rows[2], rows[2], rows[3]] == [4, 4, 9]
    assert rows.built == [2, 3]
    assert [rows[number] for number in range(10)] == [number * number for number in range(10)]
    assert len(rows._known) <= 3
