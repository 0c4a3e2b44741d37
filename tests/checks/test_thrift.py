"""Advice on calls that could be in place: given where nobody could tell the difference, and only there."""

from __future__ import annotations

import inspect

import pytest
import torch

from inplace.capture.record import Recorder
from inplace.checks.thrift import FLAGS, TWINS, Thrift, advise
from inplace.reading.trace.index import Index
from inplace.render.words.thrift import size, thrift_text
from tests.oracle import thrift
from tests.recording import record_text


def thrift_of(text: str) -> Thrift:
    """The advice on a piece of source."""
    return advise(record_text(text).report.index)


def lines(found: Thrift) -> list[tuple[int, str]]:
    """The lines advised, and how to write them."""
    return sorted((one.place.position.line, one.how) for one in found.advice)


def test_a_dead_input_that_nobody_saved_could_be_overwritten() -> None:
    """A chain that rebinds its name: the first call is no candidate, as its input is held by a name."""
    found = thrift_of("x = torch.ones(1024)\nh = x + 1\nh = h * 2\nh = torch.relu(h)\nh.sum()")

    assert lines(found) == [(3, "mul_"), (4, "relu_")]
    assert [one.saved for one in found.advice] == [4096, 4096]


@pytest.mark.parametrize(
    "text",
    [
        "k = torch.ones(8)\nh = k + 1\ng = h * 2\nh.sum()",  # read later
        "k = torch.ones(8)\nh = k + 1\ng = h * 2",  # a name holds it to the end
        "k = torch.ones(8)\nh = k + 1\nv = h[:4]\nh = h * 2\nv.sum()",  # a view shares its bytes
        "k = torch.ones(8)\nh = k + 1\nh = h * torch.ones(2, 8)",  # broadcast: the result is larger
        "k = torch.ones(8, dtype=torch.int64)\nh = k + 1\nh = h.div(2)",  # another type
        "x = torch.ones(8, requires_grad=True)\nh = x.exp()\nh = h * 2\nh.sum().backward()",  # exp keeps its result
        "x = torch.ones(8, requires_grad=True)\nh = x + 1\nh = h.log()\nh.sum().backward()",  # log keeps its input
    ],
)
def test_nothing_is_advised_where_somebody_could_tell(text: str) -> None:
    """Each of these calls would change what somebody reads, or can't be known not to."""
    assert lines(thrift_of(text)) == []


def test_modules_are_told_of_their_flag() -> None:
    """A ReLU module after a linear layer could have `inplace=True`; every iteration has to allow it."""
    text = """
        net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
        for _ in range(3):
            net(torch.ones(4, 8)).sum().backward()
    """
    name = "<net>"
    recorder = Recorder(title="net", is_cell=lambda file: file == name, thorough=True)
    namespace = {"nn": torch.nn, "torch": torch}
    with recorder:
        exec(compile(inspect.cleandoc(text), name, "exec"), namespace)

    assert (
        lines(advise(Index(recorder.trace))) == []
    )  # a line with calls that can't be in place is not advised as a whole


def test_what_is_kept_is_told_by_bytes() -> None:
    """The saves of the walk that found most, without the parameters, the largest first."""
    found = thrift_of("x = torch.ones(256, requires_grad=True)\nh = x.exp()\ng = (h * h).tanh()\ng.sum().backward()")

    assert [(one.node, one.bytes) for one in found.kept] == [("ExpBackward0", 1024), ("TanhBackward0", 1024)]
    assert found.kept_bytes == 2048
    assert "kept for backward, beside the parameters: 2 KiB" in thrift_text(found)


def test_the_table_of_twins_is_what_torch_has() -> None:
    """Every function named has its in-place form, or its flag."""
    assert [name for name in sorted(TWINS) if not hasattr(torch.Tensor, f"{name}_")] == []
    functions = {name: getattr(torch.nn.functional, name) for name in FLAGS}
    assert [name for name, one in functions.items() if "inplace" not in inspect.signature(one).parameters] == []


@pytest.mark.parametrize("seed", range(150))
def test_pytorch_agrees_with_the_advice(seed: int) -> None:
    """A random program in which every advised call is in place has the same loss and gradients."""
    assert list(thrift.disagreements(seed)) == []


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (1536, "1.5 KiB"), (3 << 30, "3 GiB")]
)
def test_bytes_are_told_as_people_read_them(count: int, told: str) -> None:
    """The largest unit that leaves a number of at least one."""
    assert size(count) == told


def test_what_an_in_place_call_on_a_view_may_have_kept_is_not_advised() -> None:
    """Its node hides what the call saved: `lerp_` keeps its end for the gradient of its weight."""
    text = """
    x = torch.ones(8, requires_grad=True)
    t = torch.full((4,), 0.5, requires_grad=True)
    base = x * 1
    v = base[4:]
    a = torch.ones(4) + 1
    {}
    a = a * 2
    (base.sum() + a.sum()).backward()
    """

    assert (7, "mul_") not in lines(thrift_of(text.format("v.lerp_(a, t)")))
    assert (7, "mul_") in lines(thrift_of(text.format("pass")))
