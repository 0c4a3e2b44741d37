"""Views of one call that a write below them has voided, checkpoints' inputs, flags, and shifts by computed indices."""

from __future__ import annotations

import pytest

from tests.recording import record_text

START = "x = torch.randn(4, 6, requires_grad=True)\nh = x * 1\n"
VOID = {
    "the base, after unbind": (START + "rows = h.unbind(0)\nh.mul_(2)\nrows[0] * 3", [4], 5),
    "the base, after split in a function": (
        "def halves(h):\n    a, b = h.split(3, dim=1)\n    h.add_(1)\n    return a + b\n" + START + "halves(h)",
        [3],
        4,
    ),
    "a sibling, under no_grad": (
        START + "a, b = h.chunk(2, dim=1)\nwith torch.no_grad():\n    a.mul_(2)\nb.sum()",
        [5],
        6,
    ),
    "an item of the base, in a loop": (
        START + "for row in h.unbind(0):\n    h[0] = 0\n    row.sum()",
        [4],
        5,
    ),
    "a slice of the base": (START + "parts = h.split(2)\nh[:, 1:].zero_()\nparts[1].exp()", [4], 5),
}
CHECKPOINT = """
from torch.utils.checkpoint import checkpoint
def block(t):
    {first}
    return t.sin()
x = torch.ones(3, requires_grad=True)
h = x * 1
out = checkpoint(block, h, use_reentrant={reentrant})
{after}
out.sum().backward()
"""


def told(text: str) -> list[tuple[str, list[int], int | None]]:
    """What is wrong with a piece of code: kinds, lines of culprits, and the line of the victim."""
    loud = [one for one in record_text(text).report.findings if one.severity != "info"]
    return [
        (one.kind, [p.position.line for p in one.culprits], one.victim.place.position.line if one.victim else None)
        for one in loud
    ]


@pytest.mark.parametrize(("text", "culprits", "victim"), VOID.values(), ids=VOID)
def test_a_write_below_several_views_is_named_at_their_use(text: str, culprits: list[int], victim: int) -> None:
    """PyTorch refuses the use; the write is the culprit."""
    assert told(text) == [("multi-output-view-inplace", culprits, victim)]


@pytest.mark.parametrize(
    "text",
    [
        START + "h.mul_(2)\nrows = h.unbind(0)\n(rows[0] * 3).sum().backward()",
        START + "rows = h.unbind(0)\nh = h * 2\n(rows[0] * 3).sum().backward()",
        START + "rows = h.detach().unbind(0)\nrows[0].mul_(2)\n(rows[1] * 3).sum()",
        START + "row = h[0]\nh.mul_(2)\n(row * 3).sum().backward()",
    ],
)
def test_views_after_the_write_are_no_matter(text: str) -> None:
    """Views that were taken afterwards, of a copy, or one alone go on."""
    assert told(text) == []


def test_a_checkpoint_input_that_is_written_is_named() -> None:
    """In the function itself, or after it; the checkpoint is the victim, whichever way it runs again."""
    inside = CHECKPOINT.format(first="t.mul_(2)", after="pass", reentrant=False)
    later = CHECKPOINT.format(first="pass", after="h.mul_(2)", reentrant=False)
    reentrant = CHECKPOINT.format(first="pass", after="h.mul_(2)", reentrant=True)

    assert told(inside) == [("saved-tensor-modified", [3], 7)]
    assert told(later) == [("saved-tensor-modified", [8], 7)]
    assert told(reentrant) == [("saved-tensor-modified", [8], 7)]


def test_a_checkpoint_of_what_nobody_writes_is_fine() -> None:
    """Nor does a write after backward matter."""
    text = CHECKPOINT.format(first="t = t * 2", after="pass", reentrant=False)

    assert told(text) == []
    assert told(text + "h.detach().mul_(2)\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "x = torch.rand(3)\nl = nn.Linear(3, 1)\nf = l(x)\nx.requires_grad_()\n(f.sum() + l(x).sum()).backward()",
        """
        def saliency(net, image):
            before = net(image)
            image.requires_grad_(True)
            score = net(image).max()
            print(torch.autograd.grad(score, image)[0].abs().max())
            return before.sum()
        saliency(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), torch.rand(2, 4)).backward()
        """,
        "x = torch.rand(3)\ny = torch.rand(3, requires_grad=True) * x\nx.requires_grad = True\ny.sum().backward()",
    ],
)
def test_a_flag_is_no_write(text: str) -> None:
    """To ask for the gradient of an input changes nothing that a layer has saved."""
    assert told(text) == []


@pytest.mark.parametrize(
    "line",
    [
        "b[:, n:] = b[:, :-n]",
        "b[n:, :] = b[:-n, :]",
        "b[:, n + 1:] = b[:, :-n - 1]",
        "b[:, :8 - n] = b[:, n:]",
    ],
)
def test_a_shift_by_a_computed_number_is_told(line: str) -> None:
    """The numbers follow from the part that was read."""
    text = f"b = torch.rand(4, 8)\nn = int(torch.ones(()).item())\n{line}"

    assert [(kind, lines) for kind, lines, _ in told(text)] == [("overlapping-write", [3])]


@pytest.mark.parametrize(
    "line",
    [
        "b[:, n:] = b[:, :-n].clone()",
        "b[:, :n] = b[:, n:2 * n]",
        "b[:, -n:] = b[:, :n]",
        "b[:, n:] = other[:, :-n]",
        "b[:n] = b[:n]",
    ],
)
def test_parts_that_share_no_byte_may_be_copied(line: str) -> None:
    """Computed or not."""
    assert told(f"b, other = torch.rand(4, 8), torch.rand(4, 8)\nn = int(torch.ones(()).item())\n{line}") == []


def test_what_apply_and_map_write_is_seen() -> None:
    """They move no version counter."""
    text = "x = torch.rand(3, requires_grad=True)\ny = x.sigmoid()\ny.detach().{}\ny.sum().backward()"

    assert told(text.format("apply_(lambda v: v * 2)")) == [("silent-corruption", [3], 2)]
    assert told(text.format("map_(torch.ones(3), lambda a, b: a + b)")) == [("silent-corruption", [3], 2)]
    assert told(text.format("clone().apply_(lambda v: v * 2)")) in ([], [("lost-write", [3], None)])
