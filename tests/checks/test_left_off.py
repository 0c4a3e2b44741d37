"""Gradient mode that a line has left off: that line is named, in whatever function or cell it stands."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch

from inplace.checks.graph_detached import Cut
from inplace.render.words.telling import message
from tests.sessions import Run, play

BEGIN = "net = nn.Linear(2, 1)\nx = torch.ones(3, 2)"
TRAIN = "loss = net(x).square().mean()\nloss.backward()"

# A cell that leaves gradient mode off, and the code of the line that does.
LEFT = {
    "entered by hand": ("guard = torch.no_grad()\nguard.__enter__()\nprint(net(x))", "guard.__enter__()"),
    "entered where it is made": ("torch.no_grad().__enter__()", "torch.no_grad().__enter__()"),
    "a stack of blocks": (
        "import contextlib\nstack = contextlib.ExitStack()\nstack.enter_context(torch.no_grad())",
        "stack.enter_context(torch.no_grad())",
    ),
    "the function": ("net.eval()\ntorch.set_grad_enabled(False)\nnet(x)", "torch.set_grad_enabled(False)"),
    "in a function": (
        "def validate():\n    torch.set_grad_enabled(False)\n    return net(x)\nvalidate()",
        "torch.set_grad_enabled(False)",
    ),
    "a method that enters": (
        "class Quiet:\n    def begin(self):\n        self.mode = torch.no_grad()\n        self.mode.__enter__()\n"
        "Quiet().begin()",
        "self.mode.__enter__()",
    ),
    "a generator that waits": (
        "def rows():\n    with torch.no_grad():\n        for one in x:\n            yield net(one)\nnext(it := rows())",
        "torch.no_grad()",
    ),
    "a loop that is left": (
        "def rows():\n    with torch.no_grad():\n        for row in x:\n            yield net(row)\nit = rows()\n"
        "for row in it:\n    break",
        "torch.no_grad()",
    ),
    "an error between": (
        "guard = torch.no_grad()\nguard.__enter__()\ntry:\n    net(x[0, :1])\n    guard.__exit__(None, None, None)\n"
        "except RuntimeError:\n    pass",
        "guard.__enter__()",
    ),
}
# Cells that leave it as it was.
RESTORED = {
    "a block": "with torch.no_grad():\n    print(net(x))",
    "left by hand": "guard = torch.no_grad()\nguard.__enter__()\nnet(x)\nguard.__exit__(None, None, None)",
    "switched on again": "torch.set_grad_enabled(False)\nnet(x)\ntorch.set_grad_enabled(True)",
    "a generator that ended": (
        "def rows():\n    with torch.no_grad():\n        for row in x:\n            yield net(row)\nlist(rows())"
    ),
    "a decorated generator": (
        "@torch.no_grad()\ndef rows():\n    for row in x:\n        yield net(row)\nit = rows()\nnext(it)"
    ),
    "a stack in a block": (
        "import contextlib\nwith contextlib.ExitStack() as stack:\n    stack.enter_context(torch.no_grad())\n    net(x)"
    ),
}


@pytest.fixture(autouse=True)
def _switched_on() -> Iterator[None]:
    yield
    gc.collect()  # a generator that waits switches it as it goes, which must not be during another test
    torch.set_grad_enabled(True)


def _cuts(run: Run) -> list[Cut]:
    return [one for one in run.report.findings if isinstance(one, Cut)]


@pytest.mark.parametrize(("cell", "code"), LEFT.values(), ids=list(LEFT))
def test_the_line_that_left_it_off_is_named(cell: str, code: str) -> None:
    """It comes first, before the forward of a later cell, which is not to blame and is not to be changed."""
    *_, last = play(BEGIN, cell, TRAIN)

    assert isinstance(last.error, RuntimeError)
    (cut,) = _cuts(last)
    assert cut.how == "left off"
    assert (cut.culprits[0].label, cut.culprits[0].code) == ("In[2]", code)
    assert cut.culprits[1].label == "In[3]"
    assert cut.rewrite is None or cut.rewrite.file == cut.culprits[0].file


@pytest.mark.parametrize("cell", RESTORED.values(), ids=list(RESTORED))
def test_a_mode_that_was_left_is_no_matter(cell: str) -> None:
    """Whoever trains then is told of nothing."""
    assert [run.told() for run in play(BEGIN, cell, TRAIN)] == [[]] * 3


@pytest.mark.parametrize("cell", RESTORED.values(), ids=list(RESTORED))
def test_a_block_of_a_later_cell_is_to_blame_itself(cell: str) -> None:
    """What was switched off and on before has no part in it."""
    *_, last = play(BEGIN, cell, "with torch.no_grad():\n    loss = net(x).mean()\nloss.backward()")

    (cut,) = _cuts(last)
    assert cut.how == "no-grad"
    assert {place.label for place in cut.culprits} == {"In[3]"}


def test_of_inference_mode_the_words_are_its_own() -> None:
    """Nothing of `no_grad` is said, and `enable_grad` would switch nothing on."""
    *_, last, left = play(BEGIN, "mode = torch.inference_mode()\nmode.__enter__()", TRAIN, "mode.__exit__(*[None] * 3)")

    (cut,) = _cuts(last)
    assert left.error is None
    assert cut.how == "inference"
    assert cut.rewrite is None
    assert "inference_mode" in message(cut, last.session)
    assert "no_grad" not in message(cut, last.session)


def test_a_line_behind_which_gradients_were_recorded_is_no_matter() -> None:
    """A guard that was left by hand has no part in what inference mode did later, of which no switch is seen."""
    left = RESTORED["left by hand"] + "\nprint(net(x))"
    *_, last = play(BEGIN, left, "with torch.inference_mode():\n    loss = net(x).mean()\nloss.backward()")

    (cut,) = _cuts(last)
    assert cut.how == "inference"
    assert {place.label for place in cut.culprits} == {"In[3]"}
