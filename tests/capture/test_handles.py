"""What nodes have saved is told where handles show nothing, as before PyTorch 2.10, and no hook of the user's runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from inplace.capture.graph import handles, walk
from tests.recording import Recorded, record_text


@pytest.fixture(params=["shown", "not shown"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of PyTorch: one whose handles show what was saved, where this is one, and one whose don't."""
    kind: str = request.param
    if kind == "shown" and not handles.SHOWN:
        pytest.skip("this PyTorch shows nothing")
    if kind == "not shown":
        hide(monkeypatch)
    return kind


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A PyTorch whose handles show nothing."""
    hide(monkeypatch)
    return iter(())


def hide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the handles of this PyTorch show nothing."""
    monkeypatch.setattr(handles, "UNPACKED", fresh := handles.Unpacked())
    monkeypatch.setattr("inplace.capture.record.UNPACKED", fresh)
    for module in (handles, walk):
        monkeypatch.setattr(module, "SHOWN", False)
        monkeypatch.setattr(module, "handle", handles._read)


def told(recorded: Recorded) -> list[tuple[str, list[int], int | None]]:
    """Kind, culprit lines and victim line of what is found, but for what harms nothing."""
    return [
        (one.kind, [place.position.line for place in one.culprits], one.victim and one.victim.place.position.line)
        for one in recorded.report.findings
        if one.severity != "info"
    ]


STALE = {
    "result": ("h = torch.sigmoid(x)\nh.mul_(2)\nh.sum().backward()", ([2], 1)),
    "result that nobody holds": (
        "def f(x):\n    h = x.exp()\n    h.add_(1)\n    return h.sum()\nf(x).backward()",
        ([3], 2),
    ),
    "the second argument": ("k = torch.ones(3)\nh = x * k\nk.add_(1)\nh.sum().backward()", ([3], 2)),
    "one of two that were written": (
        "a = x * 1\nk = torch.ones(3)\nh = a.detach() * 2 + a * k\nk.add_(1)\na.detach().sub_(1)\nh.sum().backward()",
        ([4], 3),
    ),
    "a weight below a view of it": (
        "w = torch.ones(3, 3, requires_grad=True)\nh = torch.nn.functional.linear(x[None] * 1, w)\n"
        "with torch.no_grad():\n    w.add_(1)\nh.sum().backward()",
        ([4], 2),
    ),
    "an index": ("i = torch.tensor([0, 1])\nh = x.clone()[i]\ni.add_(1)\nh.sum().backward()", ([3], 2)),
}


@pytest.mark.parametrize("name", STALE)
def test_overwritten_save_is_found(name: str, either: str) -> None:
    """The write and the call whose save it overwrote are named, though the save can't be read."""
    text, (culprits, victim) = STALE[name]

    recorded = record_text(text, x=torch.ones(3, requires_grad=True))

    assert told(recorded) == [("saved-tensor-modified", culprits, victim)]
    assert recorded.trace.notes == ()


def test_the_save_of_one_of_several_nodes_of_a_call_is_told_apart(either: str) -> None:
    """A recurrent cell multiplies by two weights, and keeps views of them: the sizes that PyTorch tells are of one."""
    text = """
    cell = nn.RNNCell(3, 4)
    opt = torch.optim.SGD(cell.parameters(), lr=0.1)
    h = torch.zeros(2, 4)
    for _ in range(3):
        h = cell(torch.ones(2, 3), h)
        h.sum().backward(retain_graph=True)
        opt.step()
    """

    (found,) = [one for one in record_text(text).report.findings if one.kind == "saved-tensor-modified"]

    assert "cell.weight_hh" in found.names
    assert "cell.weight_ih" not in found.names


def test_overwritten_save_of_custom_function_is_found(either: str) -> None:
    """What a custom function saved and was overwritten afterwards is found too."""
    recorded = record_text(
        "class Square(torch.autograd.Function):\n"
        "    @staticmethod\n"
        "    def forward(ctx, a):\n"
        "        ctx.save_for_backward(a)\n"
        "        return a * a\n"
        "    @staticmethod\n"
        "    def backward(ctx, grad):\n"
        "        return 2 * ctx.saved_tensors[0] * grad\n"
        "h = x * 2\n"
        "y = Square.apply(h)\n"
        "h.add_(1)\n"
        "y.sum().backward()",
        x=torch.ones(3, requires_grad=True),
    )

    assert told(recorded) == [("custom-function", [11], 10)]


def test_sound_twins_are_left_in_peace(either: str) -> None:
    """Writes to what nothing has saved, and after backward, are not reported."""
    text = "h = torch.sigmoid(x)\ng = h + 1\ng.mul_(2)\ng.sum().backward()\n"
    text += "k = x.exp()\nk.sum().backward()\nk.data.add_(1)"

    assert told(record_text(text, x=torch.ones(3, requires_grad=True))) == []


def test_write_through_data_is_seen(either: str) -> None:
    """What the save itself shows, its bytes, is compared where no counter moves."""
    text = "h = torch.sigmoid(x)\nh.data.mul_(2)\nh.sum().backward()"

    assert told(record_text(text, x=torch.ones(3, requires_grad=True))) == [("silent-corruption", [2], 1)]


def test_freed_save_is_not_an_overwritten_one(either: str) -> None:
    """A second backward is told as one, not as an overwritten save."""
    recorded = record_text("h = x.exp()\nh.sum().backward()\nh.sum().backward()", x=torch.ones(3, requires_grad=True))

    assert [kind for kind, *_ in told(recorded)] == ["freed-graph"]


HOOKED = (
    "ran = []\n"
    "noting = lambda what: lambda t: ran.append(what) or t\n"
    "with torch.autograd.graph.saved_tensors_hooks(noting('pack'), noting('unpack')):\n"
    "    h = x.exp()\n"
    "k = h.sin()\n"
    "before = list(ran)\n"
    "k.sum().backward()\n"
    "del k, h\n"
)


def test_no_hook_runs_earlier_than_without_us(either: str) -> None:
    """Hooks run as often as PyTorch runs them."""
    recorded = record_text(HOOKED, x=torch.ones(3, requires_grad=True))

    assert recorded.namespace["before"] == ["pack"]
    assert recorded.namespace["ran"] == ["pack", "unpack"]
    assert recorded.trace.notes == ()


def test_hooks_that_are_on_already_are_noticed(either: str) -> None:
    """A recording that begins inside a block with hooks runs none of them, and leaves what is forbidden as it was."""
    ran: list[str] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: ran.append("pack") or t, lambda t: ran.append("un") or t):
        record_text("h = x.exp()\nk = h.sum()", x=torch.ones(3, requires_grad=True))

    assert ran == ["pack"]
    assert torch._C._autograd._saved_tensors_hooks_is_enabled()
    with torch.autograd.graph.disable_saved_tensors_hooks("not here"):
        record_text("x + 1", x=torch.ones(3, requires_grad=True))
        assert torch._C._autograd._saved_tensors_hooks_get_disabled_error_message() == "not here"


def test_nodes_from_before_the_recording_are_said_to_be_unseen(hidden: None) -> None:
    """Hooks may have packed what they saved: it is not read, and one note says so."""
    x = torch.ones(3, requires_grad=True)
    h = torch.sigmoid(x)

    recorded = record_text("h.mul_(2)\nh.sum().backward()", h=h, x=x)

    assert isinstance(recorded.error, RuntimeError)
    assert [note.text for note in recorded.trace.notes] == [handles.NOT_SHOWN]


def test_nodes_of_an_earlier_recording_are_read(hidden: None) -> None:
    """What was made during one recording is known to be unpacked in the next."""
    first = record_text("h = torch.sigmoid(x)", x=torch.ones(3, requires_grad=True))

    recorded = record_text("h.sum().backward()", h=first.namespace["h"])

    saved = [save for node in recorded.trace.nodes for save in node.saved]
    assert [(save.name, save.storage is not None) for save in saved] == [("result", True)]
    assert recorded.trace.notes == ()
