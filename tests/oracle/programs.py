"""Random small programs of views, writes and backward, each with a twin that clones everything it could share.

A program is text, so that a failing one can be read, and every line of it is one statement.
All values stay positive, every operation has a gradient that is nowhere zero, and a write that autograd can't see
shifts every element, and everything that has a gradient path is part of the loss with a weight of its own: so a saved
tensor with other values means another gradient. (A write to an element whose gradient is zero anyway, or a factor that
cancels further down, would leave the gradient right by chance.)
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from dataclasses import dataclass, field

SIZE = 4
SETTING = "[0] = 0.75"  # a write that, made again, changes nothing
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
    "item": ("{a}" + SETTING, "{a}" + SETTING),
    "tanh_": ("torch.tanh_({a})", "{a}.copy_(torch.tanh({a}.clone()))"),
}
IN_PLACE_PAIRS = {
    "iadd": ("{a} += {b}", "{a}.copy_({a}.clone() + {b}.clone())"),
    "imul": ("{a} *= {b}", "{a}.copy_({a}.clone() * {b}.clone())"),
}


# Writes from outside PyTorch, to memory that is given to a tensor, into a given tensor, and several from one line.
ESCAPING = [
    "{a}.detach().numpy()[...] += 0.25",
    "{a}.detach().numpy()[0] = 0.75",
    "with torch.no_grad(): torch.mul({a}, 1.5, out={a})",
    "for _ in range(2): {a}.data.add_(0.25)",
    "for _ in range(2): {a}.detach().add_(0.25)",
]
REPLACED = ".data = "
REPLACING = "{a}" + REPLACED + "{a}.data * 1.5"


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

    def without(self, numbers: Collection[int]) -> Program:
        """The program, and its twin, in which the lines of some numbers (from 1) do nothing."""
        lines, twin = (
            ["pass" if number in numbers else line for number, line in enumerate(given, start=1)]
            for given in (self.lines, self.twin)
        )
        return Program(lines, twin, self.grads)

    def out_of_place(self, numbers: Collection[int]) -> Program:
        """The program in which in-place calls on some lines are out of place: what they saved of their result is kept.

        For saves only: under the same name is another tensor then, so other values come out.
        """
        forms = [_out_of_place(line) if number in numbers else None for number, line in enumerate(self.lines, start=1)]
        lines = [line if form is None else " = ".join(form) for line, form in zip(self.lines, forms, strict=True)]
        return Program(lines, self.twin, self.grads)

    def aside(self, numbers: Collection[int]) -> Program:
        """The same, but the results get names of their own, so that what they save is kept and every name as it was."""
        lines, terms = list(self.lines), ""
        for number in numbers:
            form = _out_of_place(lines[number - 1])
            if form is not None:
                lines[number - 1] = f"s{number} = {form[1]}"
                terms += f" + s{number}.sum()"
        lines[-2] += terms
        return Program(lines, self.twin, self.grads)


_AUGMENTED = re.compile(r"(\w+) ([+*])= (\w+)")
_FUNCTION = re.compile(r"torch\.(\w+)_\((\w+)\)")
_METHOD = re.compile(r"(\w+)\.(\w+)_\((.*)\)")


def _out_of_place(line: str) -> tuple[str, str] | None:
    """What an in-place call writes to, and its out-of-place form; None for other lines."""
    if found := _AUGMENTED.fullmatch(line):
        return found[1], f"{found[1]} {found[2]} {found[3]}"
    if found := _FUNCTION.fullmatch(line):
        return found[2], f"torch.{found[1]}({found[2]})"
    if found := _METHOD.fullmatch(line):
        return found[1], f"{found[1]}.{found[2]}({found[3]})"
    return None


class Maker:
    """Builds one program from a random generator; every choice is its.

    Args:
        rng: the generator.
        wide: whether writes go other ways than by a call of PyTorch's on the tensor, too.
    """

    def __init__(self, rng: random.Random, *, wide: bool = False) -> None:
        self._rng = rng
        self._ways = [self._apply, self._apply, self._apply, self._view, self._write, self._write, self._alias]
        self._ways += [self._escape] if wide else []
        self.program = Program()
        self._sizes: dict[str, int] = {}
        self._leaves: set[str] = set()
        self._live: set[str] = set()
        self._aliases: set[str] = set()
        self._over: dict[str, str] = {}  # whose bytes the views and aliases are over
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
            self._rng.choice(self._ways)()
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
            kind = self._rng.choice(sorted(PAIRS) if b != a else ["add", "mul"])
            form = PAIRS["mul" if kind == "div" and self._over.get(a, a) == self._over.get(b, b) else kind]
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
        self._over[name] = self._over.get(a, a)
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
        self._over[name] = self._over.get(a, a)
        line, twin = IN_PLACE["add_"]
        self.program.add(line.format(a=name), twin.format(a=name))

    def _escape(self) -> None:
        if self._rng.random() < 0.2:
            self.program.add(REPLACING.format(a=self._any(sorted(self._leaves))))
        else:
            self.program.add(self._rng.choice(ESCAPING).format(a=self._any(list(self._sizes))))

    def _finish(self) -> None:
        live = sorted(self._live - self._leaves) or sorted(self._live)
        terms = " + ".join(f"({name} * {1.1 + 0.37 * number:.2f}).sum()" for number, name in enumerate(live))
        self.program.add(f"loss = {terms}")
        self.program.add("loss.backward()")


def random_program(seed: int, length: int = 8, *, wide: bool = False) -> Program:
    """The program of a seed: the same on every machine."""
    return Maker(random.Random(seed), wide=wide).make(length)
