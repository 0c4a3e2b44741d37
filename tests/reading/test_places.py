"""Where a call was made: the user's innermost line, and the line of the recorded cell that led to it."""

from __future__ import annotations

import linecache

import torch

from inplace.checks.inference_tensor import InferenceTensor
from inplace.checks.saved_tensor_modified import StaleSave
from tests.recording import record_text

HELPER = "def spoil(h):\n    h.add_(1)\n"


def test_a_line_of_another_file_is_told_with_the_line_of_the_cell() -> None:
    """The helper has written, and the cell has called it: both are named, the helper first."""
    namespace: dict[str, object] = {"torch": torch}
    linecache.cache["<helper>"] = (len(HELPER), None, HELPER.splitlines(keepends=True), "<ipython-input-helper>")
    linecache.cache["<ipython-input-helper>"] = linecache.cache.pop("<helper>")
    exec(compile(HELPER, "<ipython-input-helper>", "exec"), namespace)
    text = "x = torch.ones(3, requires_grad=True)\nh = torch.exp(x)\nspoil(h)\nh.sum().backward()"

    (finding,) = record_text(text, spoil=namespace["spoil"]).report.of_type(StaleSave)

    places = [(place.file == "<ipython-input-helper>", place.position.line) for place in finding.culprits]
    assert places == [(True, 2), (False, 3)]


def test_a_function_of_the_cell_is_one_place() -> None:
    """Its line is in the cell, so there is no other to tell."""
    text = HELPER + "x = torch.ones(3, requires_grad=True)\nh = torch.exp(x)\nspoil(h)\nh.sum().backward()"

    (finding,) = record_text(text).report.of_type(StaleSave)

    assert [place.position.line for place in finding.culprits] == [2]


def test_a_call_that_raised_has_made_nothing() -> None:
    """What made a tensor is the last call that did not raise."""
    text = """
    w = torch.ones(2, requires_grad=True)
    with torch.inference_mode():
        v = torch.ones(2)
        try:
            v.add_(torch.ones(3))
        except RuntimeError:
            pass
    w * v
    """

    found = record_text(text).report.of_type(InferenceTensor)
    assert [[place.position.line for place in one.culprits] for one in found] == [[3]]
