"""The capstone: five bugs are in the script, each is found when those before it are mended, and mended it is right."""

from __future__ import annotations

import importlib.util
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


def module(folder: Path, bugs: int) -> ModuleType:
    """The script with its last bugs only."""
    text = SCRIPT.read_text()
    for _, old, new in MENDED[: len(MENDED) - bugs]:
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = folder / "capstone_now.py"
    path.write_text(text)
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
