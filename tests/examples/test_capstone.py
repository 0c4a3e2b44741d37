"""The capstone: five bugs are in the script, each is found when those before it are mended, and mended it is right."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import inplace

SCRIPT = Path(__file__).parents[2] / "notebooks" / "capstone.py"
MENDED = [
    (
        "leaf-inplace",
        "        model.temperature.mul_(0.5)",
        "        with torch.no_grad():\n            model.temperature.mul_(0.5)",
    ),
    ("saved-tensor-modified", "h += x", "h = h + x"),
    ("freed-graph", "model(inputs, state)\n        loss", "model(inputs, state.detach())\n        loss"),
    (
        "silent-corruption",
        "        gate.data.clamp_(max=0.9)\n        return out, gate",
        "        return out, gate.detach().clamp(max=0.9)",
    ),
    (
        "shared-reference",
        "model.state_dict(), error",
        "{name: one.clone() for name, one in model.state_dict().items()}, error",
    ),
]

MEANT = (0.059, 0.593)
"""The error that the mended script notes, and how far its gate is open."""


def module(folder: Path, bugs: int, change: Callable[[str], str] = str) -> ModuleType:
    """The script with its last bugs only."""
    text = SCRIPT.read_text()
    for _, old, new in MENDED[: len(MENDED) - bugs]:
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = folder / "capstone_now.py"
    path.write_text(change(text))
    spec = importlib.util.spec_from_file_location("capstone_now", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_script_has_about_120_lines() -> None:
    """It is a script that one reads in a few minutes."""
    assert 110 <= len(SCRIPT.read_text().splitlines()) <= 130


@pytest.mark.parametrize("bugs", range(6))
def test_each_bug_is_found_in_its_turn(bugs: int, tmp_path: Path) -> None:
    """Three raise and two are silent; what is found first is the bug that is next, and nothing when all are mended."""
    script, numbers = module(tmp_path, bugs), None
    try:
        with inplace.record() as recording:
            _, *numbers = script.train()
    except RuntimeError:
        assert bugs > 2
    else:
        assert bugs <= 2

    found = [each.kind for each in recording.report.findings if each.severity in {"error", "warning"}]
    assert found[:1] == ([MENDED[len(MENDED) - bugs][0]] if bugs else [])
    if numbers is not None:
        assert (numbers[0] == numbers[1]) == (bugs == 0)
        assert as_meant(numbers) or bugs


def as_meant(numbers: list[float]) -> bool:
    """Whether the notebook takes what the script gave out for what was meant."""
    noted, _, gate = numbers
    return abs(noted - MEANT[0]) <= 0.002 and abs(gate - MEANT[1]) <= 0.002


def test_the_notebook_knows_what_was_meant() -> None:
    """The numbers that it compares with are those of here."""
    assert f"MEANT = {MEANT[0]}, {MEANT[1]}" in SCRIPT.with_name("19-capstone.ipynb").read_text()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (MENDED[0][2], "        pass"),
        (MENDED[1][2], "pass"),
        (MENDED[1][2], "h = h.detach() + x"),
        (MENDED[2][2], "model(inputs, torch.zeros(WAVES, HIDDEN))\n        loss"),
        (MENDED[3][2], "        return out, gate"),
    ],
)
def test_a_line_that_was_dropped_or_cut_off_is_not_what_was_meant(right: str, wrong: str, tmp_path: Path) -> None:
    """Nothing raises and nothing is found, and the numbers are others."""
    script = module(tmp_path, 0, lambda text: text.replace(right, wrong))
    assert wrong in (tmp_path / "capstone_now.py").read_text()

    _, *numbers = script.train()

    assert numbers[0] == numbers[1]
    assert not as_meant(numbers)
