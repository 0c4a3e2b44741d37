"""A faulty program, and changes of it."""

from __future__ import annotations

from typing import NamedTuple

LEAF = """\
import torch
from torch import nn
import torch.nn.functional as F
torch.manual_seed(0)
x = torch.rand(3, requires_grad=True)
"""


class Program(NamedTuple):
    """A faulty program, and changes of it: the lines that go, and what comes in their place."""

    text: str
    changes: dict[str, list[tuple[str, str]]]
    """Those that are `right`, which the judge is to prove, and those that are `wrong`."""
