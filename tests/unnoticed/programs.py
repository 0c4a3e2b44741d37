"""Random programs of PyTorch: the same number gives the same program."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from tests.unnoticed.pieces import BACKWARDS, HOLES, MAKES, MODULES, RARE, TENSORS, WORLD, WRITES

BEGIN = """\
import atexit, contextlib, copy, functools, gc, inspect, io, logging, os, pickle, random, signal, subprocess, sys
import threading, traceback, warnings, weakref
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

def told(value):
    if not isinstance(value, torch.Tensor):
        return repr(value)
    facts = [type(value).__name__, value.dtype, value.layout, tuple(value.shape), value.requires_grad]
    facts.append(None if value.is_inference() else value._version)
    try:
        facts.append(value.grad_fn and value.grad_fn.name())
        facts.append(value.detach().tolist() if value.numel() < 50 else value.detach().sum().tolist())
    except Exception as error:
        facts.append(str(error)[:200])
    return " ".join(map(str, facts))

def show(*values):
    for value in values:
        print(told(value))

def caller():
    frame = sys._getframe(1)
    return frame.f_code.co_name, frame.f_lineno, frame.f_back is None

def heard(act):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        act()
    return found

def scripted(x: torch.Tensor):
    return x * 2

class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx, g):
        show(*ctx.saved_tensors)
        return g * 2

class InPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        x.add_(1)
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx, g):
        return g.mul_(1)

class Adds(nn.Module):
    def forward(self, x):
        x += 1
        return x * 2

class Named:
    def __init__(self, t):
        self.t = t

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        print("function", getattr(func, "__name__", func))
        def bare(one):
            if isinstance(one, (list, tuple)):
                return type(one)(map(bare, one))
            return one.t if isinstance(one, Named) else one
        return func(*bare(args), **(kwargs or {}))

class Dies:
    def __del__(self):
        print("an object dies", torch is not None and torch.is_grad_enabled())

class Doubles(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        return found * 2 if func is torch.Tensor.add else found

class Counts(TorchFunctionMode):
    def __init__(self):
        self.calls = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls.append(getattr(func, "__name__", str(func)))
        return func(*args, **(kwargs or {}))

class Dispatched(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls.append(str(func))
        return func(*args, **(kwargs or {}))

torch.manual_seed(0); random.seed(0); np.random.seed(0)
keeps = []
array = np.ones((3, 3), dtype=np.float32)
frozen = np.ones(3); frozen.flags.writeable = False
w0, w1, w2 = (torch.rand(3, 3, requires_grad=True) for _ in range(3))
net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
t0, t1, t2, t3 = torch.rand(3, 3), torch.ones(3, 3), w0 * 2, w1.exp()
t4, t5, t6, t7 = t2[1:], torch.arange(9).reshape(3, 3), torch.rand(3, 3).double(), torch.rand(3, 3).requires_grad_()
"""
END = """
show(t0, t1, t2, t3, t4, t5, t6, t7, w0.grad, w1.grad, w2.grad, net[0].weight, net[0].weight.grad)
"""
NAMES = f"{', '.join(TENSORS)}, net, optimizer, h, g"
_KINDS = [MAKES, MAKES, WRITES, WRITES, BACKWARDS, MODULES, WORLD, WORLD]
_FILTERS = [
    "",
    "",
    "warnings.simplefilter('always')",
    "warnings.simplefilter('default')",
    "warnings.simplefilter('error')",
]
_LENGTHS = (4, 14)


@dataclass(frozen=True)
class Program:
    """A program: what each of its pieces says."""

    pieces: tuple[str, ...]

    @property
    def text(self) -> str:
        """What is run."""
        return "\n".join([BEGIN, *self.pieces, END])

    @property
    def ends_in_its_way(self) -> bool:
        """Whether it matters how Python ends: its status, and what dies with its modules; and for each tenth anyhow."""
        return len(self.text) % 10 == 0 or re.search(r"exit|Dies|Interrupt|signal", "".join(self.pieces)) is not None

    def without(self, first: int, last: int) -> Program:
        """The program without some of its pieces."""
        return Program(self.pieces[:first] + self.pieces[last:])


def random_program(seed: int) -> Program:
    """The program of a number."""
    rng = random.Random(seed)
    count = rng.randint(*_LENGTHS)
    return Program((rng.choice(_FILTERS), *(_around(rng, _piece(rng)) for _ in range(count))))


def _piece(rng: random.Random) -> str:
    piece = rng.choice(rng.choice(_KINDS))
    while piece in RARE and rng.random() < 0.8:
        piece = rng.choice(WORLD)
    return _filled(rng, piece)


def _filled(rng: random.Random, text: str) -> str:
    same: dict[str, str] = {}

    def fill(match: re.Match[str]) -> str:
        hole, number = match.groups()
        if hole not in HOLES:
            return match.group()
        if not number:
            return _filled(rng, rng.choice(HOLES[hole]))
        found = same.get(hole + number)
        if found is None:
            found = same[hole + number] = _filled(rng, rng.choice(HOLES[hole]))
        return found

    return re.sub(r"<([a-z]+_?)(\d?)>", fill, text)


def _around(rng: random.Random, text: str) -> str:
    """A piece in what may stand around it: mostly so that an exception ends it only."""
    for way in (_context, _function, _loop):
        if rng.random() < 0.12:
            text = way(rng, text)
    chance = rng.random()
    if chance < 0.06:
        return text
    kind = "Exception" if chance < 0.9 else "(RuntimeError, TypeError)"
    said = "print(type(error).__name__, error)" if chance < 0.75 else "traceback.print_exc()"
    return f"try:\n{_indented(text)}\nexcept {kind} as error:\n    {said}"


def _context(rng: random.Random, text: str) -> str:
    ways = [
        "torch.no_grad()",
        "torch.enable_grad()",
        "torch.inference_mode()",
        "torch.set_grad_enabled(False)",
        "Doubles()",
        "torch.device('cpu')",
        "torch.autograd.set_detect_anomaly(True)",
        "warnings.catch_warnings()",
        "torch.random.fork_rng()",
    ]
    return f"with {rng.choice(ways)}:\n{_indented(text)}"


def _function(rng: random.Random, text: str) -> str:
    """The piece as the body of a function; of one that a thread, a hook or a generator calls, too."""
    ways = [
        "acts()",
        "list(map(lambda one: acts(), [1]))",
        "thread = threading.Thread(target=acts); thread.start(); thread.join()",
        "torch.no_grad()(acts)()",
        "h = w0 * 2; h.register_hook(lambda g: acts()); h.sum().backward()",
        "copy_context = __import__('contextvars').copy_context(); copy_context.run(acts)",
        "functools.partial(acts)()",
    ]
    if "stack_info" in text:  # inside a backward its stack is known to differ: see docs/limits.md
        ways = [way for way in ways if "backward" not in way]
    return f"def acts():\n    global {NAMES}\n{_indented(text)}\n{rng.choice(ways)}"


def _loop(rng: random.Random, text: str) -> str:
    return f"for turn in range({rng.randint(2, 4)}):\n{_indented(text)}"


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())
