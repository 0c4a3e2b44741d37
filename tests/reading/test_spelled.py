"""How arguments were spelled: which of two operands is the tensor, where the other is a number."""

from __future__ import annotations

import pytest

from inplace.reading.trace.index import Index
from tests.recording import record_text

# What stands in the two operands, the code around it, and how the one tensor is spelled; None where nothing tells.
OPERANDS = {
    "an attribute given a parameter's default": (
        "self.s * made()",
        "class A:\n    def __init__(self, s=2.0):\n        self.s = s\nself = A()\n"
        "def made():\n    return torch.ones(2)",
        "made()",
    ),
    "an attribute and a variable": (
        "self.s * x",
        "class A:\n    def __init__(self, s=2.0):\n        self.s = s\nself = A()\nx = torch.ones(2)",
        "x",
    ),
    "a number that nobody writes out, by the tensor's name": (
        "f(3) * x",
        "def f(k):\n    return k / 2\nx = torch.ones(2)",
        "x",
    ),
    "a parameter that is said to be a number": (
        "scaled(x)",
        "x = torch.ones(2)\ndef scaled(h, scale: float = None):\n    scale = scale or 2\n    return scale * h",
        "h",
    ),
    "a square root": ("d * x", "import math\nd = math.sqrt(4)\nx = torch.ones(2)", "x"),
    "the tensor on the left": ("x * d", "d = len('ab')\nx = torch.ones(2)", "x"),
    "neither is known": ("f(x, 3)", "x = torch.ones(2)\ndef f(a, b):\n    return b * a", None),
}


@pytest.mark.parametrize("name", OPERANDS)
def test_which_operand_is_the_tensor(name: str) -> None:
    """What is known to be a number is not taken for the tensor, nor is what is not known to be either."""
    code, before, expected = OPERANDS[name]
    recorded = record_text(f"{before}\ny = {code}")
    (call,) = [one for one in recorded.trace.calls if one.function.label == "mul"]

    found = Index(recorded.trace).spelled.text(call, "0")

    assert found == expected
