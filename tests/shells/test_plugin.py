"""`pytest --inplace` tells of what tests did, and changes no outcome; `--inplace-strict` fails them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import python

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


@pytest.mark.one_of(3)
@pytest.mark.parametrize(
    ("options", "outcome"),
    [((), "1 failed, 2 passed"), (("--inplace",), "1 failed, 2 passed"), (("--inplace-strict",), "2 failed, 1 passed")],
)
def test_outcomes(options: tuple[str, ...], outcome: str, tmp_path: Path) -> None:
    """Without an option nothing is said; with one the line that wrote is named, in passed tests too."""
    (tmp_path / "test_it.py").write_text(TESTS)

    from importlib.metadata import entry_points

    there = any(one.value == "inplace.shells.testing.plugin" for one in entry_points(group="pytest11"))
    plugin = () if there else ("-p", "inplace.shells.testing.plugin")
    told = python("-m", "pytest", "-p", "no:cacheprovider", *plugin, *options, "test_it.py", folder=tmp_path).stdout

    assert outcome in told
    assert ("line 7: h.mul_(2) changed h" in told) == bool(options)
    assert ("line 12: h.mul_(2) changed h" in told) == bool(options)
    assert "plugin.py" not in told


LONG = """\
import torch

def test_long():
    w = torch.ones(4, requires_grad=True)
    for i in range(300):
        h = torch.sigmoid(w * 2)
        if i == 3:
            h.data.mul_(2)
        h.sum().backward()
"""


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
    (tmp_path / "test_it.py").write_text(LONG)

    from importlib.metadata import entry_points

    there = any(one.value == "inplace.shells.testing.plugin" for one in entry_points(group="pytest11"))
    plugin = () if there else ("-p", "inplace.shells.testing.plugin")
    ours = python("-m", "pytest", "-p", "no:cacheprovider", *plugin, "--inplace", option, "test_it.py", folder=tmp_path)

    assert said in ours.stdout + ours.stderr
    assert ("silent-corruption" in ours.stdout) == (option != "--inplace-keep=0")
