"""A rewrite as the lines that it takes out, puts in and leaves alone."""

from __future__ import annotations

import contextlib
import difflib
import io
import textwrap
import tokenize

from inplace.checks.finding import Rewrite


def changed_lines(rewrite: Rewrite) -> tuple[str, ...]:
    """The lines, each after `- `, `+ ` or two spaces; their common indentation is left out."""
    return changed_lines_of(rewrite.old, rewrite.new)


def changed_lines_of(before: str, after: str) -> tuple[str, ...]:
    """The same of what some lines were and what they become."""
    old = len(before.splitlines())
    both = textwrap.dedent(f"{before}\n{after}").splitlines()
    return tuple(line.rstrip() for line in difflib.ndiff(both[:old], both[old:]) if not line.startswith("?"))


def without_comment(line: str) -> str:
    """A line of code without the comment behind it; one that is a comment stays."""
    with contextlib.suppress(tokenize.TokenError, IndentationError, SyntaxError):  # of a statement that goes on
        for token in tokenize.generate_tokens(io.StringIO(line).readline):
            if token.type == tokenize.COMMENT:
                return line[: token.start[1]].rstrip() or line
    return line
