"""Run many programs plain and recorded: `python -m tests.unnoticed 2000` prints how many and every difference.

A difference is shown with the program that is left of it when all that has no part in it is taken away.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.unnoticed.programs import Program, random_program
from tests.unnoticed.sides import BothSides


def main() -> int:
    """Run seeds 0 to N - 1 (from the first argument on to the second, where there are two)."""
    numbers = [int(argument) for argument in sys.argv[1:]] or [200]
    seeds = range(numbers[0]) if len(numbers) == 1 else range(numbers[0], numbers[1])
    failed = 0
    with tempfile.TemporaryDirectory() as folder, BothSides(Path(folder)) as sides:
        for seed in seeds:
            program = random_program(seed)
            found = sides.differences(program)
            if found:
                failed += 1
                _show(seed, found, shrunk(sides, program))
    print(f"{len(seeds)} programs, {failed} differ when they are recorded")
    return 1 if failed else 0


def shrunk(sides: BothSides, program: Program) -> Program:
    """What is left of a program that still differs when any further piece is taken away."""
    size = len(program.pieces)
    while size:
        for first in range(len(program.pieces) - size, -1, -1):
            smaller = program.without(first, first + size)
            if sides.differences(smaller):
                program = smaller
        size //= 2
    return program


def _show(seed: int, found: Iterable[str], program: Program) -> None:
    print(f"seed {seed}:", *found, sep="\n  ")
    lines = "\n".join(program.pieces).splitlines()
    print(*(f"    {line}" for line in lines), sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
