"""The replay of a cell begins from what the cell found: functions, gradients and shared tensors included."""

from __future__ import annotations

import itertools
import linecache
from typing import Any

import pytest
import torch

from inplace.capture.record import Recorder
from inplace.checks.finding import Proof
from inplace.fixes.diagnose import analyze
from inplace.judge.judge import cell_start, prove

_numbers = itertools.count(1)


def proof_of(before: str, cell: str) -> Proof:
    """What comes of the fix of a cell's first finding, where another cell has run before."""
    namespace: dict[str, Any] = {"torch": torch, "__name__": "__main__"}
    exec(compile("w = torch.ones(3, requires_grad=True)\n" + before, "<before>", "exec"), namespace)
    file = f"<start {next(_numbers)}>"
    linecache.cache[file] = (len(cell), None, cell.splitlines(keepends=True), file)
    start = cell_start(file, cell, namespace)
    recorder = Recorder(title="cell", is_cell=lambda name: name == file, namespace=namespace, label=lambda name: "cell")
    error = None
    recorder.start()
    try:
        exec(compile(cell, file, "exec"), namespace)
    except RuntimeError as raised:
        error = raised
    proof = prove(analyze(recorder.stop(error)), start).findings[0].proof
    assert proof is not None
    return proof


WRITE = "h = torch.exp(h)\nh.mul_(2)\nh.sum().backward()\n"


@pytest.mark.whole
def test_functions_see_what_the_cell_assigns() -> None:
    """The copies of functions and of the cell have the same global variables."""
    proof = proof_of("def double():\n    return scaled * 2", "scaled = w * 3\nh = double()\n" + WRITE)

    assert proof.text.startswith("proved by a replay: nothing raises, what was found is gone")


@pytest.mark.whole
def test_methods_see_what_the_cell_assigns() -> None:
    """So do those of classes."""
    proof = proof_of(
        "class A:\n    def double(self):\n        return scaled * 2", "scaled = w * 3\nh = A().double()\n" + WRITE
    )

    assert proof.text.startswith("proved by a replay: nothing raises, what was found is gone")


def test_gradients_are_there_from_the_start() -> None:
    """A cell that needs the gradient of an earlier backward finds it."""
    proof = proof_of("(w * w).sum().backward()", "assert w.grad.tolist() == [2, 2, 2]\nh = w * w.grad\n" + WRITE)

    assert proof.text.startswith("proved by a replay: nothing raises, what was found is gone")


@pytest.mark.whole
def test_two_names_of_one_tensor_stay_so() -> None:
    """A parameter and the optimizer that updates it are copied together."""
    before = "optimizer = torch.optim.SGD([w], lr=1.0)\nview = w.detach()"
    cell = "w.sum().backward()\noptimizer.step()\nassert w.tolist() == [0, 0, 0] == view.tolist()\nh = w * 1\n"
    proof = proof_of(before, cell + WRITE)

    assert proof.text.startswith("proved by a replay: nothing raises, what was found is gone")


def test_a_graph_in_a_list_is_no_leaf() -> None:
    """What would arrive as another kind of tensor is not copied, and that is said."""
    proof = proof_of("hs = [torch.exp(w)]", "hs[0].mul_(2)\nhs[0].sum().backward()\n")

    assert proof.text == "not proved: hs carries a graph from an earlier cell, which can't be copied."


def test_a_generator_cannot_be_copied() -> None:
    """Nor can what has no copy at all."""
    proof = proof_of("rows = (w * n for n in range(3))", "h = next(rows)\n" + WRITE)

    assert proof.text == "not proved: rows can't be copied into another process (TypeError)."
