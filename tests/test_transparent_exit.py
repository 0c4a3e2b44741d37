"""What runs when the interpreter ends finds the same world as without us."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import python, script

BEGIN = """
import atexit, os, sys
import torch

class Last:
    def __init__(self, name):
        self.name = name
    def __del__(self):
        told = [torch is None, Last is None, sys is None, os is None, type(layer).__name__]
        print(self.name, told, len(globals()) > 8, flush=True)

layer = torch.nn.Linear(2, 2)
atexit.register(lambda: print("atexit", torch is None, type(layer).__name__))
"""
STEP = "optimizer = torch.optim.SGD(layer.parameters(), 0.1)\noptimizer.step()\n"

PROGRAMS = {
    "a step": STEP + "last = Last('one')",
    "held by PyTorch": STEP + "layer.register_forward_hook(lambda *_, last=Last('hook'): None)\nlayer(torch.ones(2))",
    "a function of the user's": "class Own(torch.autograd.Function):\n"
    "    @staticmethod\n    def forward(ctx, x):\n        ctx.last = Last('ctx')\n        return x * 2\n"
    "    @staticmethod\n    def backward(ctx, g):\n        return g * 2\n"
    "kept = Own.apply(torch.ones(2, requires_grad=True))",
    "compiled code": STEP + "import torch._dynamo\nlast = Last('dynamo')",
    "an exception": STEP + "last = Last('raised')\nraise SystemExit(3)",
}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in PROGRAMS.items()])
def test_the_interpreter_ends_as_ever(text: str, tmp_path: Path) -> None:
    """Objects that die last, and handlers, see the script's variables, and say what they say in a plain run."""
    path = script(tmp_path, BEGIN + text)

    plain = python(path)
    recorded = python("-m", "inplace", "run", "--quiet", path)
    assert (recorded.stdout, recorded.returncode) == (plain.stdout, plain.returncode)
    assert plain.stdout.count("\n") > 1
