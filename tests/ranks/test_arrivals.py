"""What a collective writes arrives at any moment, between two looks of ours too, and is told all the same."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist

from inplace.capture.bytes.contents import Contents
from tests.recording import record_text

TAKEN = """
x = torch.ones(4, requires_grad=True)
w = torch.full((4,), 2.0)
work = dist.all_reduce(w, async_op=True)
y = (x * w).sum()
{between}
dist.barrier()
work.wait()
y.backward()
"""


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A job of one process, whose collectives write nothing by themselves."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def _arrive(tensor: torch.Tensor) -> None:
    ctypes.memset(tensor.data_ptr(), 0, tensor.nbytes)


def _arriving(monkeypatch: pytest.MonkeyPatch, name: str, number: int, *, late: bool) -> None:
    """Have the bytes of what flies arrive at one of the looks of a sort: before it, or late, right behind it."""
    theirs, looks = getattr(Contents, name), [0]

    def look(self: Contents, given: Any, *args: Any, **kwargs: Any) -> Any:
        flying = [one.ref() for one in self.asleep.values() if one.flight]
        looks[0] += bool(flying)
        is_now = bool(flying) and looks[0] == number
        if is_now and not late:
            _arrive(flying[0])
        found = theirs(self, given, *args, **kwargs)
        if is_now and late:
            _arrive(flying[0])
        return found

    monkeypatch.setattr(Contents, name, look)


def _told(between: str) -> list[tuple[str, int, int]]:
    run = record_text(TAKEN.format(between=between), dist=dist)
    assert run.error is None
    return [
        (one.kind, one.culprits[0].position.line, one.victim.place.position.line)
        for one in run.report.findings
        if one.severity != "info" and one.victim is not None
    ]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("number", [1, 2])
def test_it_arrives_around_a_look_before_a_collective(
    monkeypatch: pytest.MonkeyPatch, number: int, *, late: bool
) -> None:
    """Right before the look and right behind it: the look decides alone, and what is in flight still is looked at."""
    _arriving(monkeypatch, "land", number, late=late)

    assert _told("") == [("silent-corruption", 3, 4)]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(("number", "late", "is_told"), [(2, False, False), (2, True, True), (3, False, True)])
def test_it_arrives_while_a_call_takes_it(
    monkeypatch: pytest.MonkeyPatch, number: int, *, late: bool, is_told: bool
) -> None:
    """Whether before the call has read the bytes or behind is not known: what calls before it have saved is told."""
    _arriving(monkeypatch, "settle_over", number, late=late)

    assert _told("z = w + 1") == [("silent-corruption", 3, 4)] * is_told


@pytest.mark.usefixtures("alone")
def test_it_arrives_before_anybody_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no call had taken was written at once."""
    _arriving(monkeypatch, "look_over", 1, late=False)

    assert _told("") == []
