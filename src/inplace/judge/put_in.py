"""Where a rewritten text may still take values out of the graph by mistake: the lines put in, and what was blamed.

NOTE [ A cut mended in part ]
What code takes out of the graph on purpose is held fixed when its gradient is compared with finite differences. So a
rewrite that leaves a part of a cut in, or puts in another one, would agree with them: `parts[0] + parts[1].item()` for
`parts[0].item() + parts[1].item()`. What is taken out by the lines that a rewrite puts in, or where the finding put the
blame, is therefore not held fixed in a second comparison; unless the same expression stood in the lines before, and
nobody blamed it: `target.detach()` in a loss whose cut is somewhere else on its line.
"""

from __future__ import annotations

import ast
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import FrameType
from typing import Any

from inplace.capture.code.positions import position_of
from inplace.checks.finding import Rewrite
from inplace.facts.lines import lines_of
from inplace.facts.model import Position
from inplace.facts.source_code import SourceCode, node_position
from inplace.judge.about import About

_CALLS = frozenset({"detach", "item", "numpy", "tolist"})


@dataclass(frozen=True)
class PutIn:
    """The ranges of one rewritten file that are not trusted to leave the graph on purpose.

    Attributes:
        file: its name.
        text: with the rewrites made.
        ranges: what was put in, and what was blamed and stands there still.
        meant: the expressions in them that stood there before, and were not blamed.
    """

    file: str
    text: str
    ranges: tuple[Position, ...]
    meant: tuple[Position, ...]

    @classmethod
    def of_dict(cls, value: Mapping[str, Any]) -> PutIn:
        """The same, from what `to_dict` gave."""
        ranges, meant = ([Position(*one) for one in value[name]] for name in ("ranges", "meant"))
        return cls(value["file"], value["text"], tuple(ranges), tuple(meant))

    def to_dict(self) -> dict[str, Any]:
        """Its fields, for a file."""
        ranges, meant = ([(*one.start, *one.end) for one in many] for many in (self.ranges, self.meant))
        return {"file": self.file, "text": self.text, "ranges": ranges, "meant": meant}

    @cached_property
    def _source(self) -> SourceCode:
        return SourceCode(self.text)

    def at(self, frame: FrameType) -> str | None:
        """The text of what a frame runs, with its line; None where it may be meant to leave the graph."""
        position = position_of(frame.f_code, frame.f_lasti, self._source)
        if not any(one.holds(position) for one in self.ranges) or any(one.holds(position) for one in self.meant):
            return None
        return f"`{self._source.text(position)}` on line {position.line}"


def expression_at(files: Mapping[str, PutIn], frame: FrameType | None) -> str | None:
    """What the innermost frame of some files runs, if it is put in."""
    while frame is not None:
        here = files.get(frame.f_code.co_filename)
        if here is not None:
            return here.at(frame)
        frame = frame.f_back
    return None


def put_in(
    about: About, rewrites: Sequence[Rewrite], before: Mapping[str, str], after: Mapping[str, str]
) -> list[PutIn]:
    """What is not trusted of each file that rewrites change or blame falls on.

    Args:
        about: the finding.
        rewrites: of these files.
        before: the text of each file.
        after: of those that are rewritten.
    """
    found = []
    for file, text in before.items():
        own = sorted((one for one in rewrites if one.file == file), key=lambda one: one.line)
        blamed = [Position(*one) for name, *one in about.blamed if name == file]
        new = after.get(file, text)
        ranges, meant, moved = list[Position](), list[Position](), 0
        for one in own:
            count, old = len(lines_of(one.new)), _lines(one.line, len(lines_of(one.old)))
            at = _lines(one.line + moved, count)
            ranges.append(at)
            stood = set(_unblamed(SourceCode(text), old, blamed))
            meant += [node_position(node) for node, what in _expressions(SourceCode(new), at) if what in stood]
            moved += count - (old.end_line - old.line)
        if about.without is not None:  # there it is the cuts that were blamed
            ranges += [_shifted(one, own) for one in blamed if not any(_holds_line(each, one.line) for each in own)]
        found.append(PutIn(file, new, tuple(ranges), tuple(meant)))
    return found


def left_out(about: About, rewrite: Rewrite, before: str) -> str | None:
    """What took something out of the graph in the lines before a rewrite, was not blamed, and does so no more."""
    blamed = [Position(*one) for name, *one in about.blamed if name == rewrite.file]
    source = SourceCode(before)
    stood = set(_unblamed(source, _lines(rewrite.line, len(lines_of(rewrite.old))), blamed))
    try:
        left = Counter(filter(None, map(_cut, ast.walk(ast.parse(textwrap.dedent(rewrite.new))))))
    except SyntaxError:  # a part of a statement
        return None
    for node, text in _expressions(source, _lines(rewrite.line, len(lines_of(rewrite.old)))):
        name = _cut(node)
        if name is not None and text in stood:
            if not left[name]:
                return f"`{text}`"
            left[name] -= 1
    return None


def _cut(node: ast.AST) -> str | None:
    """The name of the method or attribute by which an expression takes something out of the graph."""
    if isinstance(node, ast.Call):
        return node.func.attr if isinstance(node.func, ast.Attribute) and node.func.attr in _CALLS else None
    return node.attr if isinstance(node, ast.Attribute) and node.attr == "data" else None


def _lines(first: int, count: int) -> Position:
    return Position(first, 0, first + count, 0)


def _holds_line(rewrite: Rewrite, line: int) -> bool:
    return rewrite.line <= line < rewrite.line + len(lines_of(rewrite.old))


def _shifted(position: Position, rewrites: Sequence[Rewrite]) -> Position:
    """Where a range is once the lines above it have been rewritten."""
    above = [one for one in rewrites if one.line <= position.line]
    by = sum(len(lines_of(one.new)) - len(lines_of(one.old)) for one in above)
    return replace(position, line=position.line + by, end_line=position.end_line + by)


def _expressions(source: SourceCode, lines: Position) -> Iterator[tuple[ast.expr, str]]:
    """The expressions on some lines, with their texts."""
    for node in source.nodes:
        if isinstance(node, ast.expr) and lines.holds(node_position(node)):
            yield node, source.text_of(node)


def _unblamed(source: SourceCode, lines: Position, blamed: Sequence[Position]) -> Iterator[str]:
    """The texts of the expressions on some lines that nobody blamed: what a blamed one is called on is blamed too."""
    nodes = list(_expressions(source, lines))
    bad = [node for node, _ in nodes if node_position(node) in blamed]
    for one in bad:
        held = _receiver(one)
        bad += [held] if held is not None else []
    texts = {source.text_of(node) for node in bad}
    for node, text in nodes:
        holds = any(node_position(node).holds(at) for at in blamed)
        if text not in texts and not holds:
            yield text


def _receiver(node: ast.expr) -> ast.expr | None:
    """What a method is called on, or an attribute read of."""
    function = node.func if isinstance(node, ast.Call) else node
    return function.value if isinstance(function, ast.Attribute) else None
