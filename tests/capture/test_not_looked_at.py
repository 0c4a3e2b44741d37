"""Where a bound of ours was reached the trace says so, and where nothing was left out it says nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from inplace.capture import walks
from inplace.capture.bytes import contents
from inplace.capture.calls import strict
from inplace.capture.code import names
from inplace.capture.graph import due, walk
from inplace.capture.record import Recorder
from inplace.facts.codec import from_json, to_json
from inplace.facts.consistency import is_consistent
from inplace.facts.model import BEFORE, Look, NotLookedAt, StorageId, Trace
from tests.recording import Recorded, record_text


def told(found: Recorded | Trace) -> list[tuple[Look, int, int, int | None]]:
    """What was not looked at: what, the bound, how often, and the line."""
    trace = found.trace if isinstance(found, Recorded) else found
    return [(one.what, one.bound, one.count, line_of(trace, one)) for one in trace.not_looked_at]


def line_of(trace: Trace, one: NotLookedAt) -> int | None:
    """The line that something belongs to."""
    return None if one.stack is None else trace.site(one.stack.frames[0]).position.line


def kinds(found: Recorded) -> list[str]:
    """The kinds of the findings."""
    return [finding.kind for finding in found.report.findings if finding.severity != "info"]


# ---------------------------------------------------------------- backward

LOOP = """
    w = torch.ones(4, requires_grad=True)
    for i in range({rounds}):
        h = torch.sigmoid(w)
        {write}
        h.sum().backward()
"""


@pytest.mark.parametrize(
    "write",
    [
        "if i == 25: h.data.mul_(2)",
        "if i == 25: h.numpy(force=True)[0] = 2",
        "if i == 25: torch.from_numpy(h.numpy(force=True)).mul_(2)",
        "d = h.data\n        if i == 25: d[1:].mul_(2)",
        "d = h.data\n        if i == 25: _ = h.detach(); torch._foreach_mul_([d], 2)",
    ],
)
def test_a_late_write_is_found(write: str) -> None:
    """In whichever iteration something is written that no counter shows, the backward after it is looked at."""
    found = record_text(LOOP.format(rounds=30, write=write))

    assert kinds(found) == ["silent-corruption"]
    assert told(found) == []


def test_a_late_exchange_of_bytes_is_found() -> None:
    """To give a leaf other bytes is a write that no counter shows, too."""
    text = LOOP.replace("sigmoid(w)", "mul(w, x)").replace("\n", "\n    x = torch.ones(4, requires_grad=True)\n", 1)

    found = record_text(text.format(rounds=30, write="if i == 25: w.data = torch.zeros(4)"))

    assert kinds(found) == ["silent-corruption"]


EACH_ROUND = """
    w, x = torch.ones(4, requires_grad=True), torch.ones(4)
    for i in range({rounds}):
        {each}
        h = torch.sigmoid(w * x)
        {write}
        h.sum().backward()
"""
SOUND = ["w.data.clamp_(-9, 9)", "w.data = w.data + 1", "x.numpy()[0] = i", "w.detach().data.add_(1)"]


@pytest.mark.parametrize("each", SOUND)
@pytest.mark.parametrize(
    "write",
    ["if i == {at}: h.data.mul_(2)", "if i == {at}: h.numpy(force=True)[0] = 2", "if i == {at}: h.data[1:] = 0"],
)
def test_a_late_write_is_found_among_sound_ones(each: str, write: str) -> None:
    """Writes of each round that hit nothing hide no write that does, however late it comes."""
    found = record_text(EACH_ROUND.format(rounds=102, each=each, write=write.format(at=100)))

    assert kinds(found) == ["silent-corruption"]
    assert told(found) == []


def test_a_very_late_write_is_found_among_sound_ones() -> None:
    """Not in the 64 rounds that are looked at whatever happens, and not where their number is a power of two."""
    found = record_text(EACH_ROUND.format(rounds=402, each=SOUND[0], write="if i == 400: h.data.mul_(2)"))

    assert kinds(found) == ["silent-corruption"]
    assert told(found) == []


@pytest.mark.parametrize("each", SOUND)
def test_sound_writes_of_each_round_are_walked_for_no_longer(each: str) -> None:
    """After the first ones nothing is noted where the graph is younger than the write, and nothing is missed."""
    found = record_text(EACH_ROUND.format(rounds=110, each=each, write="pass"))

    assert len([one for one in found.trace.walks if one.is_backward]) <= due.WALKS + 1
    assert kinds(found) == told(found) == []


def test_a_second_line_that_writes_is_found_behind_one_that_always_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """What each round hits is noted ever more rarely; what hits for the first time is noted at once."""
    monkeypatch.setattr(due, "WALKS", 2)
    text = EACH_ROUND.format(rounds=16, each="pass", write="h.data.add_(0)\n        if i == 11: h.data.mul_(2)")

    found = record_text(text)

    walked = [one.step for one in found.trace.walks if one.is_backward]
    backwards = [call.step for call in found.calls("backward")]
    assert backwards[11] in walked
    assert kinds(found) == ["silent-corruption"] * 2  # one for each line that writes


@pytest.mark.parametrize(
    "write", ["pass", "h.data.sum()", "h.sum().item()", "w.grad", "w.requires_grad = True", "h.real"]
)
def test_an_ordinary_loop_is_walked_once(write: str) -> None:
    """Where nothing was written unseen there is one walk before the first backward, and one at the end."""
    found = record_text(LOOP.format(rounds=30, write=write))

    assert [one.is_backward for one in found.trace.walks] == [True, False]
    assert told(found) == []


def test_backwards_that_were_not_looked_at_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each round writes unseen, the backwards of a line are looked at ever more rarely; the rest is counted."""
    monkeypatch.setattr(due, "WALKS", 2)

    found = record_text(LOOP.format(rounds=12, write="h.data.add_(0)"))

    backwards = [call.step for call in found.calls("backward")]
    walked = [one.step for one in found.trace.walks if one.is_backward]
    assert [backwards.index(step) for step in walked] == [0, 1, 2, 3, 4, 6, 10]
    assert told(found) == [(Look.BACKWARD, 2, 5, 5)]
    assert [one.first for one in found.trace.not_looked_at] == [backwards[5]]


def test_backwards_after_the_last_write_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the writes have ended there is nothing to be looked at."""
    monkeypatch.setattr(due, "WALKS", 2)

    found = record_text(LOOP.format(rounds=12, write="if i < 6: h.data.add_(0)"))

    assert told(found) == [(Look.BACKWARD, 2, 1, 5)]


# ---------------------------------------------------------------- graph

CHAIN = """
    x = torch.ones(2, requires_grad=True)
    for _ in range(6):
        x = x.exp()
    x.sum().backward(retain_graph=True)
"""


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(8, []), (7, [(Look.GRAPH, 7, 1, 4)]), (6, [(Look.GRAPH, 6, 1, 4), (Look.GRAPH, 6, 1, None)])],
)
def test_a_graph_beyond_the_limit_is_told(limit: int, expected: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a walk that stopped at its limit: the line of the backward, and none for the look at the end."""
    monkeypatch.setattr(walk, "LIMIT", limit)
    monkeypatch.setattr(walks, "LIMIT", limit)

    found = record_text(CHAIN)

    assert told(found) == expected
    assert [one.complete for one in found.trace.walks].count(False) == len(expected)  # what is counted


@pytest.mark.parametrize(("limit", "expected"), [(100, []), (2, [Look.GRAPH])])
def test_strict_mode_says_what_it_did_not_look_at(
    limit: int, expected: list[Look], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write may have destroyed a save in a part of the graphs that is beyond the limit."""
    monkeypatch.setattr(strict, "LIMIT", limit)
    recorder = Recorder(title="strict", is_cell=lambda name: name == __file__, strict=True)

    with recorder:
        h = torch.ones(2, requires_grad=True) * 2 + 1
        torch.zeros(2).add_(1)
        del h

    assert [one.what for one in recorder.trace.not_looked_at] == expected


# ---------------------------------------------------------------- contents and lines

EXPORTED = """
    w, a = torch.ones(4, requires_grad=True), torch.ones(4)
    n = a.numpy()
    for i in range(40):
        t = w.detach() + 1
    h = w * a
    {write}
    h.sum().backward()
"""


@pytest.fixture
def untraced() -> Iterator[None]:
    """Nobody follows lines meanwhile, as a tool that runs the tests may."""
    kept = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(kept)


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(("largest", "expected"), [(16, []), (15, [(Look.CONTENTS, 15, 1, 2)])])
def test_large_storages_are_told(largest: int, expected: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage whose bytes are not all compared is named with the line that gave others access to it.

    A sample of what was saved shows the write all the same, though not on which line it was.
    """
    monkeypatch.setattr(contents, "_LARGEST", largest)

    found = record_text(EXPORTED.format(write="n *= 3"))

    assert told(found) == expected
    assert kinds(found) == ["silent-corruption"]
    assert [change.is_sampled for change in found.trace.changes] == [bool(expected)]
    storages = [one.storage for one in found.trace.not_looked_at]
    assert [found.trace.storage(one).bytes for one in storages if one is not None] == [16] * len(expected)


def test_what_has_no_bytes_is_not_told() -> None:
    """To ask a tensor without memory where it is leaves nothing out."""
    found = record_text("torch.ones(4, device='meta').data_ptr()\ntorch.ones(0).numpy()")

    assert told(found) == []


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(
    ("write", "expected"),
    [
        ("n *= 3", ["silent-corruption"]),
        ("pass", []),
        ("a.add_(1)", ["saved-tensor-modified"]),
        ("n *= 3; h = w * a", []),
    ],
)
def test_storages_that_sleep_are_looked_at(write: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """After many comparisons they are compared around the calls that take them only, which tells as much of saves."""
    monkeypatch.setattr(contents, "_AWAKE", 10 * contents._LEAST)

    found = record_text(EXPORTED.format(write=write))

    assert kinds(found) == expected
    assert told(found) == ([(Look.LINES, 10 * contents._LEAST, 1, None)] if "n *=" in write else [])
    assert [change.stack for change in found.trace.changes] == [None] * ("n *=" in write)


@pytest.mark.usefixtures("untraced")
def test_what_is_no_longer_compared_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bytes that are compared in one recording a storage that is alive is named, and no other."""
    monkeypatch.setattr(contents, "_AWAKE", 10 * contents._LEAST)
    monkeypatch.setattr(contents, "_MOST", 40 * contents._LEAST)
    text = EXPORTED.format(write="n *= 3").replace("w.detach() + 1", "a + 1")
    another = "n = a.numpy()\n    b = torch.ones(4)\n    m = b.numpy()"

    alive = record_text(text.replace("n = a.numpy()", another))
    dead = record_text(text.replace("n = a.numpy()", another).replace("40):", "40):\n        if i == 6: del b, m"))

    assert told(alive) == [(Look.CONTENTS, 40 * contents._LEAST, 1, line) for line in (2, 4)]
    assert told(dead) == [(Look.CONTENTS, 40 * contents._LEAST, 1, 2)]
    assert kinds(alive) == ["silent-corruption"]  # by a sample


@pytest.mark.parametrize(("write", "expected"), [("n *= 3", [(Look.LINES, 0, 1, None)]), ("pass", [])])
@pytest.mark.usefixtures("untraced")
def test_a_line_is_not_known_where_somebody_else_follows_lines(write: str, expected: list[Any]) -> None:
    """The change is found at the next call all the same; where nothing has changed, no line was missed."""
    sys.settrace(lambda *_: None)

    found = record_text(EXPORTED.format(write=write))

    assert told(found) == expected
    assert kinds(found) == (["silent-corruption"] if expected else [])
    assert [change.stack for change in found.trace.changes] == [None] * len(expected)


@pytest.mark.usefixtures("untraced")
def test_a_line_is_not_known_after_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not taken for the last line that was followed."""
    monkeypatch.setattr(contents, "_LINES", 10)

    found = record_text(EXPORTED.format(write="n *= 3"))

    assert told(found) == [(Look.LINES, 10, 1, None)]
    assert [change.stack for change in found.trace.changes] == [None]


# ---------------------------------------------------------------- names

TENSOR = torch.ones(2)


@pytest.mark.parametrize(
    ("bound", "value", "expected"),
    [
        ("_DEEPEST", [[[TENSOR]]], 0),
        ("_DEEPEST", [[[[TENSOR]]]], 2),
        ("_DEEPEST", [[[[1.5, "x"]]]], 0),
        ("_WIDEST", [TENSOR] * 3, 0),
        ("_WIDEST", [TENSOR] * 4, 2),
        ("_WIDEST", dict.fromkeys(range(4), TENSOR), 2),
        ("_WIDEST", [1.5] * 4, 0),
        ("_MOST", [[TENSOR], [TENSOR]], 0),
        ("_MOST", [[[TENSOR]], [[TENSOR]], [[TENSOR]]], 6),
    ],
)
def test_names_beyond_a_bound_are_told(
    bound: str, value: object, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the beginning and at the end, if there is anything there that may lead to a tensor."""
    number = {"_DEEPEST": 3, "_WIDEST": 3, "_MOST": 6}[bound]
    monkeypatch.setattr(names, bound, number)

    found = record_text("del torch, nn\nx.__len__()", x=value)

    assert told(found) == ([(Look.NAMES, number, expected, None)] if expected else [])
    assert [one.first for one in found.trace.not_looked_at] == [BEFORE] * bool(expected)


# ---------------------------------------------------------------- frames

RECURSION = """
    x = torch.ones(2)
    def deep(left):
        return deep(left - 1) if left else x.add_(1).add_(1)
    deep({depth})
"""


@pytest.mark.parametrize(("depth", "is_cut"), [(10, False), (45, False), (46, True), (80, True)])
def test_deep_stacks_are_told(depth: int, is_cut: int) -> None:
    """Where the user has more frames than are kept of a call's stack: the calls, and the innermost line."""
    found = record_text(RECURSION.format(depth=depth))  # three frames more are the cell's and the test's

    assert told(found) == [(Look.FRAMES, 49, 1, 3)] * 2 * is_cut  # two calls of one line are two places
    assert max(len(call.stack.frames) for call in found.trace.calls) == min(depth + 4, 49)


# ---------------------------------------------------------------- in a file


def test_it_survives_a_file() -> None:
    """What was not looked at is written and read again."""
    trace = record_text(RECURSION.format(depth=60)).trace

    assert len(trace.not_looked_at) == 2
    assert from_json(to_json(trace)).not_looked_at == trace.not_looked_at


@pytest.mark.parametrize(
    "change", [{"count": 0}, {"bound": -1}, {"first": 99}, {"first": -2}, {"storage": StorageId(99)}, {}]
)
def test_it_is_held_to_the_trace(change: dict[str, Any]) -> None:
    """A count of nothing, or a step or storage that there is not, makes a trace inconsistent."""
    trace = record_text(RECURSION.format(depth=60)).trace
    first, *others = trace.not_looked_at

    found = is_consistent(replace(trace, not_looked_at=(replace(first, **change), *others)))

    assert found is (change == {})
