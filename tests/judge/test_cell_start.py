"""What a replay of a cell is given: the variables that it may read before it sets them itself."""

from __future__ import annotations

import pytest
import torch

from inplace.judge.start import cell_start

CELLS = {
    "loss = x.sum()\nloss.backward()": {"x"},
    "loss = loss + x": {"loss", "x"},
    "if x.sum() > 0:\n    loss = x\nloss.sum()": {"loss", "x"},
    "def f():\n    return loss\nloss = x\nf()": {"loss", "x"},
    "loss += x": {"loss", "x"},
    "loss[0] = 1": {"loss"},
    "x = loss = 1": set(),
}


@pytest.mark.parametrize(("text", "wanted"), CELLS.items(), ids=list(CELLS))
def test_what_a_cell_sets_first_is_not_needed(text: str, wanted: set[str]) -> None:
    """An old `loss` with a graph keeps no cell from being replayed that sets `loss` before it reads it."""
    x = torch.ones(2, requires_grad=True)
    start = cell_start("<cell>", text, {"x": torch.ones(2), "loss": x * 2, "other": x * 3})

    try:
        assert set(start.missing) == wanted - {"x"}
    finally:
        start.close()
