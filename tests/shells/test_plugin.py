"""`pytest --inplace` tells of what tests did, and changes no outcome; `--inplace-strict` fails them."""

from __future__ import annotations

import subprocess
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import indent

import pytest

from tests.commands import run_module
from tests.shells.late import LATE

TESTS = """\
import pytest
import torch
import inplace

def test_wrong():
    h = torch.sigmoid(torch.ones(3, requires_grad=True))
    h.mul_(2)
    h.sum().backward()

def test_error_is_expected():
    h = torch.exp(torch.ones(3, requires_grad=True))
    h.mul_(2)
    with pytest.raises(RuntimeError):
        h.sum().backward()

def test_sound():
    torch.ones(3).add_(1)
"""


def pytest_says(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What pytest says of `test_it.py` with some options, and with our plugin whether we are installed or not."""
    there = any(one.value == "inplace.shells.testing.plugin" for one in entry_points(group="pytest11"))
    plugin = () if there else ("-p", "inplace.shells.testing.plugin")
    return run_module("pytest", "-p", "no:cacheprovider", *plugin, *options, "test_it.py", folder=folder)


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("options", "outcome"),
    [((), "1 failed, 2 passed"), (("--inplace",), "1 failed, 2 passed"), (("--inplace-strict",), "2 failed, 1 passed")],
)
def test_outcomes(options: tuple[str, ...], outcome: str, tmp_path: Path) -> None:
    """Without an option nothing is said; with one the line that wrote is named, in passed tests too."""
    (tmp_path / "test_it.py").write_text(TESTS)
    told = pytest_says(tmp_path, *options).stdout

    assert outcome in told
    assert ("line 7: h.mul_(2) changed h" in told) == bool(options)
    assert ("line 12: h.mul_(2) changed h" in told) == bool(options)
    assert "plugin.py" not in told


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--inplace-keep=1", "let go of: "),
        ("--inplace-light", "Recorded lightly"),
        ("--inplace-keep=0", "--inplace-keep takes the megabytes of a window, 1 or more"),
    ],
)
def test_long_tests_are_let_go_of_or_recorded_lightly(option: str, said: str, tmp_path: Path) -> None:
    """What an early window showed is told in the end; what is no window is refused."""
    (tmp_path / "test_it.py").write_text(f"import torch\n\ndef test_long():\n{indent(LATE, '    ')}")
    ours = pytest_says(tmp_path, "--inplace", option)

    assert said in ours.stdout + ours.stderr
    assert ("silent-corruption" in ours.stdout) == (option != "--inplace-keep=0")
