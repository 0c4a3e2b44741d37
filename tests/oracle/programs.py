"""Random small programs of views, writes and backward, each with a twin that clones everything it could share.

A program is text, so that a failing one can be read, and every line of it is one statement.
All values stay positive, every operation has a gradient that is nowhere zero, and a write that autograd can't see
shifts every element, and everything that has a gradient path is part of the loss with a weight of its own: so a saved
tensor with other values means another gradient. (A write to an element whose gradient is zero anyway, or a factor that
cancels further down, would leave the gradient right by chance.)
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

SIZE = 4

OUT_OF_PLACE = {
    "sigmoid": "torch.sigmoid({a})",
    "exp": "torch.exp({a} * 0.1)",
    "tanh": "torch.tanh({a})",
    "sqrt": "torch.sqrt({a})",
    "softplus": "torch.nn.functional.softplus({a})",
    "square": "{a} ** 2",
    "double": "{a} * 2.0",
    "shift": "{a} + 0.5",
    "reciprocal": "{a}.reciprocal()",
}
PAIRS = {"add": "{a} + {b}", "mul": "{a} * {b}", "div": "{a} / {b}"}
IN_PLACE = {
    "add_": ("{a}.add_(0.25)", "{a}.copy_({a}.clone() + 0.25)"),
    "mul_": ("{a}.mul_(1.5)", "{a}.copy_({a}.clone() * 1.5)"),
    "sigmoid_": ("{a}.sigmoid_()", "{a}.copy_(torch.sigmoid({a}.clone()))"),
    "sqrt_": ("{a}.sqrt_()", "{a}.copy_(torch.sqrt({a}.clone()))"),
    "item": ("{a}[0] = 0.75", "{a}[0] = 0.75"),
    "tanh_": ("torch.tanh_({a})", "{a}.copy_(torch.tanh({a}.clone()))"),
}
IN_PLACE_PAIRS = {
    "iadd": ("{a} += {b}", "{a}.copy_({a}.clone() + {b}.clone())"),
    "imul": ("{a} *= {b}", "{a}.copy_({a}.clone() * {b}.clone())"),
}


@dataclass
class Program:
    """A program and its twin, line by line; `grads` names the leaves."""

    lines: list[str] = field(default_factory=list)
    twin: list[str] = field(default_factory=list)
    grads: list[str] = field(default_factory=list)

    def add(self, line: str, twin: str | None = None) -> None:
        """Append a statement and what the twin does instead."""
        self.lines.append(line)
        self.twin.append(line if twin is None else twin)

    @property
    def text(self) -> str:
        """The program as source text."""
        return "\n".join(self.lines) + "\n"

    @property
    def twin_text(self) -> str:
        """The twin as source text, with the same line numbers."""
        return "\n".join(self.twin) + "\n"


class Maker:
    """Builds one program from a random generator; every choice is its."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.program = Program()
        self._sizes: dict[str, int] = {}
        self._leaves: set[str] = set()
        self._live: set[str] = set()
        self._aliases: set[str] = set()
        self._count = 0

    def make(self, length: int) -> Program:
        """A program of about `length` statements between the leaves and `backward`."""
        for number in range(self._rng.randint(1, 2)):
            name = f"x{number}"
            values = [round(0.5 + self._rng.random(), 3) for _ in range(SIZE)]
            self.program.add(f"{name} = torch.tensor({values}, requires_grad=True)")
            self._sizes[name] = SIZE
            self._leaves.add(name)
            self._live.add(name)
            self.program.grads.append(name)
        self.program.add("k = torch.full((4,), 1.25)")
        self._sizes["k"] = SIZE
        for _ in range(length):
            self._rng.choice(
                [self._apply, self._apply, self._apply, self._view, self._write, self._write, self._alias]
            )()
        self._finish()
        return self.program

    def _new(self, size: int) -> str:
        self._count += 1
        name = f"v{self._count}"
        self._sizes[name] = size
        return name

    def _any(self, names: list[str]) -> str | None:
        return self._rng.choice(sorted(names)) if names else None

    def _apply(self) -> None:
        a = self._any(list(self._sizes))
        assert a is not None
        same = [name for name, size in self._sizes.items() if size == self._sizes[a]]
        name = self._new(self._sizes[a])
        if self._rng.random() < 0.5:
            form = OUT_OF_PLACE[self._rng.choice(sorted(OUT_OF_PLACE))]
            right, twin, used = form.format(a=a), form.format(a=f"{a}.clone()"), {a}
        else:
            b = self._any([name for name in same if name != a]) or a  # a / a has no gradient to spoil
            form = PAIRS[self._rng.choice(sorted(PAIRS) if b != a else ["add", "mul"])]
            right = form.format(a=a, b=b)
            twin, used = form.format(a=f"{a}.clone()", b=f"{b}.clone()"), {a, str(b)}
        self.program.add(f"{name} = {right}", f"{name} = ({twin}).clone()")
        if used & self._live:
            self._live.add(name)

    def _view(self) -> None:
        a = self._any([name for name, size in self._sizes.items() if size == SIZE])
        assert a is not None
        start = self._rng.choice([0, 2, 1])
        name = self._new(2)
        self.program.add(f"{name} = {a}[{start}:{start + 2}]")
        if a in self._live:
            self._live.add(name)
        if a in self._leaves or a in self._aliases:
            self._aliases.add(name)  # written under no_grad only

    def _write(self) -> None:
        a = self._any(list(self._sizes))
        assert a is not None
        same = [name for name, size in self._sizes.items() if size == self._sizes[a]]
        quiet = a in self._leaves or a in self._aliases or self._rng.random() < 0.2
        if self._rng.random() < 0.6 or quiet:
            line, twin = IN_PLACE[self._rng.choice(sorted(IN_PLACE))]
            line, twin = line.format(a=a), twin.format(a=a)
        else:
            b = self._any([name for name in same if name != a]) or "k"
            if self._sizes[b] != self._sizes[a]:
                return
            line, twin = IN_PLACE_PAIRS[self._rng.choice(sorted(IN_PLACE_PAIRS))]
            line, twin = line.format(a=a, b=b), twin.format(a=a, b=b)
        if quiet:
            line, twin = f"with torch.no_grad(): {line}", f"with torch.no_grad(): {twin}"
        elif any(name in self._live for name in same):
            self._live.add(a)
        self.program.add(line, twin)

    def _alias(self) -> None:
        a = self._any(list(self._sizes))
        assert a is not None
        name = self._new(self._sizes[a])
        self.program.add(f"{name} = {a}.{self._rng.choice(['data', 'detach()'])}")
        self._aliases.add(name)
        line, twin = IN_PLACE["add_"]
        self.program.add(line.format(a=name), twin.format(a=name))

    def _finish(self) -> None:
        live = sorted(self._live - self._leaves) or sorted(self._live)
        terms = " + ".join(f"({name} * {1.1 + 0.37 * number:.2f}).sum()" for number, name in enumerate(live))
        self.program.add(f"loss = {terms}")
        self.program.add("loss.backward()")


def random_program(seed: int, length: int = 8) -> Program:
    """The program of a seed: the same on every machine."""
    return Maker(random.Random(seed)).make(length)
