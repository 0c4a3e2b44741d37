"""Saves that went stale, or that were spoiled unseen: which lines are named, and which are not."""

from __future__ import annotations

import pytest

from inplace.capture.graph.handles import SHOWN
from inplace.checks.saved_tensor_modified import StaleSave
from inplace.checks.silent_corruption import UnseenWrite
from tests.recording import record_text


def blamed(text: str) -> list[tuple[int, list[int]]]:
    """The line of each victim, and the lines that are named for it."""
    found = record_text(text).report.findings
    return [
        (one.victim.place.position.line, [place.position.line for place in one.culprits])
        for one in found
        if isinstance(one, StaleSave | UnseenWrite) and one.victim is not None
    ]


def test_a_call_that_saves_its_own_result_is_no_culprit() -> None:
    """`exp_` saves what it has written, so only the write that follows has spoiled it."""
    text = "x = torch.ones(3, requires_grad=True)\ny = x * 1\ny.exp_()\ny.add_(1)\ny.sum().backward()"

    assert blamed(text) == [(3, [4])]


def test_each_write_after_a_save_is_a_culprit() -> None:
    """Each alone would spoil it; a write before the save, or to other bytes with another counter, would not."""
    text = """
    x = torch.ones(3, requires_grad=True)
    y = x * 1
    z = x * 2
    y.mul_(2)
    s = y.sigmoid()
    w = s.tanh()
    s.add_(1)
    z.add_(1)
    s.detach().mul_(2)
    (w + z).sum().backward()
    """

    assert blamed(text) == [(5, [7, 9])]


def test_a_write_through_data_is_hidden_and_one_through_detach_is_not() -> None:
    """`detach` shares the counter, so it makes the save stale; `.data` has its own, so nobody notices."""
    text = "x = torch.ones(3, requires_grad=True)\ny = torch.exp(x)\n{}\ny.sum().backward()"

    assert record_text(text.format("y.detach().add_(1)")).report.of_type(UnseenWrite) == []
    assert record_text(text.format("y.data.add_(1)")).report.of_type(StaleSave) == []
    assert blamed(text.format("y.detach().add_(1)")) == blamed(text.format("y.data.add_(1)")) == [(2, [3])]


def test_the_first_finding_is_the_one_that_raised() -> None:
    """Nodes made last run first, so the save of a later call is met before that of an earlier one."""
    text = """
    x = torch.ones(3, requires_grad=True)
    a = x.exp()
    b = a * a
    a.add_(1)
    b.sum().backward()
    """

    assert [victim for victim, _ in blamed(text)] == [3, 2]


def test_a_write_of_what_was_there_is_not_named() -> None:
    """A hidden write of the very values that were saved spoils nothing."""
    text = "x = torch.ones(3, requires_grad=True)\ny = torch.exp(x)\ny.data.copy_(y.data.clone())\ny.sum().backward()"

    assert blamed(text) == []


def test_of_hidden_writes_those_that_changed_nothing_are_not_named() -> None:
    """The first puts back what is there, the second spoils it."""
    text = "x = torch.ones(3, requires_grad=True)\ny = torch.exp(x)\ny.data.copy_(y.data.clone())\ny.data.add_(1)"

    assert blamed(text + "\ny.sum().backward()") == [(2, [4])]


@pytest.mark.parametrize("size", [4, 64])
@pytest.mark.parametrize("write", ["y[:h].data.add_(1)", "y.data[1:].add_(1)", "y.detach().numpy()[1] = 7"])
def test_a_hidden_write_to_bytes_that_were_not_saved_is_not_named(write: str, size: int) -> None:
    """A save of one half is not spoiled by a hidden write to the other, be its values known or not."""
    text = f"h = {size // 2}\nx = torch.ones({size}, requires_grad=True)\ny = x * 1\nz = y[h:] ** 2\n{write}\n"

    touched = "[1:]" in write  # of which the last elements were saved
    assert blamed(text + "z.sum().backward()") == ([(4, [5])] if touched else [])


@pytest.mark.parametrize("part", ["", "[1:]"])
def test_memory_that_comes_back_by_another_way_is_the_same(part: str) -> None:
    """A tensor made of an array over a part of another tensor's memory writes that tensor's bytes."""
    text = f"x = torch.ones(4, requires_grad=True)\ny = torch.exp(x)\nz = torch.from_numpy(y.detach().numpy(){part})\n"

    assert blamed(text + "z.add_(1)\ny.sum().backward()") == [(2, [4])]


@pytest.mark.parametrize(
    ("made", "writes", "expected"),
    [
        # `x.data = other` moves no version: it is the write before it that backward refuses.
        ("torch.ones(3) / x", ["with torch.no_grad(): x[0] = 0.75", "x.data = x.data * 1.5"], [3]),
        # The counter of a view of the old memory is moved by a write to the new one.
        ("x[:2] ** 2", ["x.data = x.data * 1.5", "with torch.no_grad(): x.add_(1)"], [4]),
        # Nobody counts either of them, and each alone is enough.
        ("x ** 2", ["x.data.add_(1)", "x.data = x.data * 1.5"], [3, 4]),
    ],
    ids=["before", "after", "hidden"],
)
def test_a_write_before_other_memory(made: str, writes: list[str], expected: list[int]) -> None:
    """Where a tensor is given other memory, the writes to what it had, or with its counter, are named all the same."""
    text = "\n".join(["x = torch.ones(3, requires_grad=True)", f"y = {made}", *writes, "y.sum().backward()"])

    assert [sorted(culprits) for _, culprits in blamed(text)] == [expected]


@pytest.mark.xfail(strict=True, reason="what a view without a gradient path keeps is guessed as if it had one")
def test_a_view_without_a_path_keeps_no_factor() -> None:
    """`v *= s` keeps `s` for the gradient of what `v` was, and there is none where that has no gradient path."""
    text = """
    x = torch.ones(2, requires_grad=True)
    k = torch.ones(4)
    v = k[:2]
    s = x * 1
    v *= s
    s.add_(1)
    h = torch.sigmoid(x)
    h.add_(1)
    (k.sum() + h.sum() + s.sum()).backward()
    """

    assert blamed(text) == [(7, [8])]


@pytest.mark.parametrize("write", ["h.data *= 0.5", "h.data.mul_(0.5)", "h.data[0] = 0.5", "h.data[:2] += 1"])
def test_every_spelling_of_a_write_through_data_is_one_through_data(write: str) -> None:
    """An assignment that ends a write through `.data` doesn't make it one of running statistics."""
    text = f"x = torch.linspace(-2, 2, 5).requires_grad_()\nh = x.tanh()\n{write}\nh.sum().backward()"

    found = [one for one in record_text(text).report.findings if isinstance(one, UnseenWrite)]

    assert [(one.how, one.culprits[0].position.line) for one in found] == [("data", 3)]


UNRECORDED = {
    "other memory, in a function": (
        """
        def swap(p, new):
            with torch.no_grad():
                p.set_(new)
        w, x = nn.Parameter(torch.rand(3)), torch.rand(3, requires_grad=True)
        out = (w * x).sum()
        swap(w, torch.zeros(3))
        out.backward()
        """,
        (5, [3]),
    ),
    "other memory, in a method": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.w, self.other = nn.Parameter(torch.rand(3)), torch.zeros(3)
            def forward(self, x):
                return (self.w * x).sum()
            @torch.no_grad()
            def sync(self):
                self.w.set_(self.other)
        net = Net()
        out = net(torch.rand(3, requires_grad=True))
        net.sync()
        out.backward()
        """,
        (6, [9]),
    ),
}


@pytest.mark.skipif(not SHOWN, reason="this PyTorch shows no save whose tensor was given other memory")
@pytest.mark.parametrize(("text", "expected"), UNRECORDED.values(), ids=UNRECORDED)
def test_a_write_that_no_mode_sees_is_named(text: str, expected: tuple[int, list[int]]) -> None:
    """`set_` is found in the source where the tensor was seen to have other memory."""
    assert blamed(text) == [expected]


@pytest.mark.skipif(not SHOWN, reason="this PyTorch shows no save whose tensor was given other memory")
def test_of_several_writes_that_no_mode_sees_none_is_guessed() -> None:
    """Neither is called on a name that is known to be the tensor's."""
    text = """
    def one(p):
        p.set_(torch.zeros(3))
    def two(q):
        q.set_(torch.ones(3))
    w, x = nn.Parameter(torch.rand(3)), torch.rand(3, requires_grad=True)
    out = (w * x).sum()
    with torch.no_grad():
        one(w)
    out.backward()
    """

    assert blamed(text) == [(6, [])]
