"""A trace survives a round through a file; anything else is refused with one clear sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inplace.facts.codec import _pieces, dump, from_json, load, to_json
from inplace.facts.errors import TraceFormatError
from inplace.facts.model import Trace
from inplace.facts.rows import Rows
from inplace.fixes.diagnose import analyze
from inplace.render.picture.diagram import diagram
from inplace.render.words.text import to_text
from tests.oracle.judge import recorded
from tests.oracle.programs import random_program
from tests.recording import record_text

SAMPLE = """
    x = torch.ones(3, requires_grad=True) * float("nan")
    h = torch.sigmoid(x)
    h.relu_()
    net = nn.Linear(3, 2)
    array = net.weight.detach().numpy()
    array *= 0
    h.sum().item()
    h.sum().backward()
"""


def flat(trace: Trace) -> dict[str, Any]:
    """Everything in a trace, as comparable text (nan differs from itself)."""
    return {
        name: repr(list(value) if isinstance(value, Rows | list | tuple) else value)
        for name, value in vars(trace).items()
    }


def test_a_trace_survives_a_file(tmp_path: Path) -> None:
    """What is loaded equals what was saved, non-finite numbers included, and is analysed to the same findings."""
    trace = record_text(SAMPLE).trace

    dump(trace, tmp_path / "trace.json")
    again = load(tmp_path / "trace.json")

    fields = {name for name in flat(trace) if name in flat(again)}
    assert {name: flat(again)[name] for name in fields} == {name: flat(trace)[name] for name in fields}
    assert analyze(again).findings == analyze(trace).findings


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(min_value=0, max_value=100_000))
def test_random_traces_survive(seed: int) -> None:
    """Any program's trace is the same after a round through JSON text."""
    trace = recorded(random_program(seed).text, "<program>")[2]

    value = json.loads(json.dumps(to_json(trace), allow_nan=False))

    assert to_json(from_json(value)) == to_json(trace)
    assert analyze(from_json(value)).findings == analyze(trace).findings


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x80\x04\x95pickle", "not JSON"),
        (b"[1, 2", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a torch-inplace trace"),
        (b'{"kind": "something else"}', "not a torch-inplace trace"),
        (b'{"kind": "torch-inplace trace", "format": 99}', "format 99"),
        (b'{"kind": "torch-inplace trace", "format": 1}', "format 1, and this version of torch-inplace reads format 6"),
        (b'{"kind": "torch-inplace trace", "format": 6}', "damaged"),
    ],
)
def test_other_files_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    """A file that is not ours, damaged or of another format gives a TraceFormatError that says which."""
    path = tmp_path / "other.json"
    path.write_bytes(content)

    with pytest.raises(TraceFormatError, match=words):
        load(path)


JUNK = [None, True, -1, 0, 1, 10**30, -(10**30), 0.5, "", "nan", [], {}, [None], {"float": "x"}, {"float": 10**400}]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is something in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def test_what_is_read_can_be_looked_at() -> None:
    """Whatever one value in a trace is replaced by, the trace is refused, or can be analysed and drawn."""
    text = json.dumps(to_json(record_text(SAMPLE).trace))
    value = json.loads(text)
    random = Random(0)
    refused = 0
    for path in random.choices(list(places(value)), k=400):
        damaged = json.loads(text)
        holder = reduce(lambda found, key: found[key], path[:-1], damaged)
        holder[path[-1]] = random.choice(JUNK)

        try:
            trace = from_json(damaged)
        except TraceFormatError:
            refused += 1
            continue

        report = analyze(trace)
        assert to_text(report)
        assert diagram(report).to_json()
    assert 200 < refused < 400


def test_plain_values_of_other_classes_are_kept_as_such() -> None:
    """A message that is a str of the user's own class, or a number of another library's, is written as what it is."""
    trace = record_text("class Odd(str): pass\nraise ValueError(Odd('oh'))").trace
    odd = replace(trace, title=type("Odd", (str,), {})("title"))

    assert from_json(json.loads(json.dumps(to_json(odd)))).title == "title"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_damage_gives_no_other_error(data: st.DataObject) -> None:
    """Whatever value in a trace is replaced by another, reading it gives a trace or a TraceFormatError."""
    value = json.loads(json.dumps(to_json(record_text("x = torch.ones(2)\nx.add_(1)").trace)))
    holder: Any = value
    last: tuple[Any, Any] = (value, "trace")
    for _ in range(data.draw(st.integers(min_value=1, max_value=5))):
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = data.draw(st.sampled_from(keys)) if keys else None
        if key is None or not isinstance(holder[key], dict | list) or not holder[key]:
            break
        last, holder = (holder, key), holder[key]
    junk = data.draw(st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.just([]), st.just({})))
    last[0][last[1]] = junk

    try:
        from_json(value)
    except TraceFormatError as error:
        assert "\n" not in str(error)


def test_a_file_is_written_row_by_row(tmp_path: Path) -> None:
    """It says what `to_json` says, and no piece of it is longer than a row or a table of what rows share."""
    trace = record_text("t = torch.zeros(3)\nfor i in range(500):\n    t.add_(i)").trace
    pieces = list(_pieces(trace))

    dump(trace, tmp_path / "trace.json")

    assert json.loads((tmp_path / "trace.json").read_text()) == to_json(trace)
    assert len(pieces) > 1_000
    assert max(map(len, pieces)) < sum(map(len, pieces)) / 5
