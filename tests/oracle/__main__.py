"""Judge many programs: `python -m tests.oracle 10000` prints how many were run and every disagreement."""

from __future__ import annotations

import sys

from tests.oracle import fixes, thrift
from tests.oracle.judge import disagreements
from tests.oracle.programs import random_program


def main() -> int:
    """Run seeds 0 to N - 1 (from the first argument on to the second, where there are two)."""
    numbers = [int(argument) for argument in sys.argv[1:]] or [1000]
    first, last = (0, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])
    failed = 0
    for seed in range(first, last):
        program = random_program(seed)
        for reason in (*disagreements(program), *thrift.disagreements(seed), *fixes.disagreements(seed)):
            failed += 1
            print(f"seed {seed}: {reason}")
    print(f"{last - first} programs, {failed} disagreements")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
