"""Writes in a graph that harmed nothing: told only where nothing of that storage was spoiled."""

from __future__ import annotations

from inplace.checks.safe_in_place import SafeWrite
from tests.recording import record_text

BEGIN = "x = torch.ones(3, requires_grad=True)\n"


def safe(text: str) -> list[tuple[int, tuple[str, ...]]]:
    """The line of each safe write, and what the node before it keeps instead."""
    found = record_text(BEGIN + text).report.of_type(SafeWrite)
    return [(one.culprits[0].position.line, one.saved) for one in found]


def test_a_write_over_a_result_that_nobody_kept_is_safe() -> None:
    """Multiplication keeps its factors; addition keeps nothing."""
    assert safe("h = x * x\nh.add_(1)\nh.sum().backward()") == [(3, ("other", "self"))]
    assert safe("h = x + x\nh.add_(1)\nh.sum().backward()") == [(3, ())]


def test_where_a_save_was_spoiled_no_write_of_its_bytes_is_safe() -> None:
    """The first write harms nothing, but who reads that would think the second does not either."""
    assert safe("h = x + x\nh.add_(1)\ng = h.exp()\nk = h * h\nh.add_(1)\n(g + k).sum().backward()") == []


def test_without_a_backward_nothing_is_known() -> None:
    """It is told where it was observed."""
    assert safe("h = x * x\nh.add_(1)") == []


def test_a_backward_that_raised_shows_nothing_to_be_safe() -> None:
    """It did not run through the write, whatever it was that it stopped at."""
    assert safe("h = x * x\nh.add_(1)\nh.backward()") == []
    assert safe("h = x * x\nh.add_(1)\nh.sum().backward()\nh.sum().backward()") == [(3, ("other", "self"))]
