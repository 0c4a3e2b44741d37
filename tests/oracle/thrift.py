"""PyTorch judges advice: a program whose advised lines are written in place gives the same loss and gradients.

The programs rebind their names, delete some, take views and keep aliases, so that inputs are dead, or look dead, in
many ways. Every call is a method, so that its in-place form is the same line with an underscore.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

import torch

from inplace.checks.thrift import advise
from inplace.reading.trace.index import Index
from tests.oracle.judge import close, recorded, run

_ALONE = [
    "sigmoid()",
    "exp()",
    "tanh()",
    "sqrt()",
    "relu()",
    "square()",
    "neg()",
    "mul(0.5)",
    "add(0.5)",
    "clamp(0.1, 3)",
]
_PAIRED = ["add({b})", "mul({b})", "div({b})", "sub({b})", "lerp({b}, 0.25)"]
_CALL = re.compile(r"\.(\w+)\(")


class Maker:
    """Builds one program from a random generator."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.lines = ["x = torch.tensor([0.5, 1.5, 0.75, 2.0], requires_grad=True)", "k = torch.full((4,), 1.25)"]
        self._sizes = {"x": 4, "k": 4}
        self._count = 0

    def make(self, length: int) -> list[str]:
        """The lines of a program, the last two of which go backward."""
        for _ in range(length):
            self._rng.choice([self._call, self._call, self._call, self._chain, self._view, self._drop, self._keep])()
        terms = " + ".join(f"({name}.abs() * {1 + 0.3 * n:.1f}).sum()" for n, name in enumerate(sorted(self._sizes)))
        return [*self.lines, f"loss = {terms}", "loss.backward()"]

    def _pick(self, size: int | None = None) -> str:
        return self._rng.choice(sorted(name for name, one in self._sizes.items() if size is None or one == size))

    def _form(self, a: str) -> str:
        if self._rng.random() < 0.6:
            return self._rng.choice(_ALONE)
        return self._rng.choice(_PAIRED).format(b=self._pick(self._sizes[a]))

    def _call(self) -> None:
        a = self._pick()
        # Most calls rebind their own argument, which is then dead unless something else holds it.
        target = a if a not in {"x", "k"} and self._rng.random() < 0.6 else self._new()
        self.lines.append(f"{target} = {a}.{self._form(a)}")
        self._sizes[target] = self._sizes[a]

    def _chain(self) -> None:
        a = self._pick()
        name = self._new()
        size = self._sizes[a]
        self.lines.append(f"t = {a}.{self._form(a)}")
        self.lines.append(f"{name} = t.{self._form(a)}")
        self.lines.append("del t")
        self._sizes[name] = size

    def _view(self) -> None:
        a = self._pick(4)
        name = self._new()
        self.lines.append(f"{name} = {a}[1:3]")
        self._sizes[name] = 2

    def _keep(self) -> None:
        a = self._pick()
        name = self._new()
        self.lines.append(f"{name} = {a}")
        self._sizes[name] = self._sizes[a]

    def _drop(self) -> None:
        names = sorted(set(self._sizes) - {"x", "k"})
        if names:
            name = self._rng.choice(names)
            self.lines.append(f"del {name}")
            del self._sizes[name]

    def _new(self) -> str:
        self._count += 1
        return f"v{self._count}"


def advised_lines(lines: list[str]) -> list[int]:
    """The line numbers at which our advice says that a call could be in place."""
    trace = recorded("\n".join(lines) + "\n", "<thrift>", thorough=True)[2]
    return [one.place.position.line for one in advise(Index(trace)).advice]


def disagreements(seed: int) -> Iterator[str]:
    """Where a program in which every advised call is in place differs from the program as it was."""
    lines = Maker(random.Random(seed)).make(10)
    advised = [number for number in advised_lines(lines) if number <= len(lines) - 2]
    thrifty = list(lines)
    for number in advised:
        thrifty[number - 1] = _CALL.sub(r".\1_(", lines[number - 1], count=1)
    plain, plain_error = run("\n".join(lines) + "\n", "<plain>")
    ours, error = run("\n".join(thrifty) + "\n", "<thrifty>")
    if plain_error is not None:
        return
    if error is not None:
        yield f"advised lines {advised} raise in place: {error}"
    elif not _equal(plain, ours):
        yield f"advised lines {advised} change the loss or the gradient"


def _equal(one: dict[str, Any], two: dict[str, Any]) -> bool:
    grads: list[torch.Tensor | None] = [one["x"].grad, two["x"].grad]
    return close(one["loss"].detach(), two["loss"].detach()) and close(*grads)
