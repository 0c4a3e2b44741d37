"""In-place calls that PyTorch refused, each told for its own reason."""

from __future__ import annotations

import pytest

from inplace.checks.graph_detached import Cut
from inplace.checks.inference_tensor import InferenceTensor
from inplace.checks.leaf_inplace import LeafWrite
from inplace.checks.multi_output_view_inplace import MultiOutputWrite
from inplace.checks.view_of_leaf_inplace import LeafViewWrite
from tests.recording import record_text

LEAF = "w = torch.ones(4, requires_grad=True)\n"
KINDS = (LeafWrite, LeafViewWrite, MultiOutputWrite, InferenceTensor, Cut)


def found(text: str) -> list[tuple[type, int]]:
    """The kind of each finding, and its first line."""
    report = record_text(LEAF + text).report
    return [(type(one), one.culprits[0].position.line) for one in report.findings if isinstance(one, KINDS)]


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        ("w.add_(1)", LeafWrite, 2),
        ("w[0] = 1", LeafViewWrite, 2),
        ("w[torch.tensor([0])] = 1", LeafWrite, 2),
        ("w[1:].add_(1)", LeafViewWrite, 2),
        ("with torch.no_grad():\n    v = w[1:]\nv.add_(1)", LeafViewWrite, 4),
        ("h = w * 2\nwith torch.no_grad():\n    v = h[1:]\nv.add_(1)", Cut, 5),
        ("a, b = (w * 2).unbind()[:2]\na.add_(1)", MultiOutputWrite, 3),
        ("with torch.inference_mode():\n    v = torch.ones(4)\n(w * v).sum()", InferenceTensor, 3),
        ("with torch.inference_mode():\n    v = torch.ones(6)\n(w * v[:4]).sum()", InferenceTensor, 3),
        (
            "with torch.inference_mode():\n    v = torch.ones(6).mul(2)\nu = v[1:]\n(w * u[:4]).sum()",
            InferenceTensor,
            3,
        ),
        (
            "k = torch.ones(6)\nwith torch.inference_mode():\n    v = k[2:]\n    u = k.mul(2)[2:]\n(w * u).sum()",
            InferenceTensor,
            5,
        ),
    ],
)
def test_a_refused_call_is_told(text: str, kind: type, line: int) -> None:
    """What it would have written to says why."""
    assert found(text) == [(kind, line)]


@pytest.mark.parametrize(
    "text",
    [
        "with torch.no_grad():\n    w.add_(1)",
        "h = w * 2\nh[0] = 1",
        "h = w * 2\ntry:\n    h.add_(torch.ones(3))\nexcept RuntimeError:\n    pass",  # shapes, not leaves
        "k = torch.ones(4)\nk.add_('one')",
    ],
)
def test_other_calls_are_not(text: str) -> None:
    """A write that is allowed, and one that failed for another reason."""
    assert found(text) == []
