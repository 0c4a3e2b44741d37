"""A rewrite as the lines that it takes out, puts in and leaves alone."""

from __future__ import annotations

import difflib
import textwrap

from inplace.checks.finding import Rewrite


def changed_lines(rewrite: Rewrite) -> tuple[str, ...]:
    """The lines, each after `- `, `+ ` or two spaces; their common indentation is left out."""
    old = len(rewrite.old.splitlines())
    both = textwrap.dedent(f"{rewrite.old}\n{rewrite.new}").splitlines()
    return tuple(line.rstrip() for line in difflib.ndiff(both[:old], both[old:]) if not line.startswith("?"))
