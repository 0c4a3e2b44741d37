"""What is said of a command that can't be carried out, and the exit status that it gives."""

from __future__ import annotations

import contextlib
import sys

UNUSABLE = 2
"""The exit status of a command line that can't be carried out."""


class UnusableError(ValueError):
    """What a command line names can't be run."""


def complain(sentence: str) -> None:
    """Say one sentence on stderr."""
    with contextlib.suppress(OSError, ValueError):
        print(f"inplace: {sentence}", file=sys.stderr)
