"""The report of a script together with those of its children: one text, one JSON and one page, and files for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inplace.facts.model import Process
    from inplace.shells.explanation import Explanation
    from inplace.shells.terminal.children import Left


@dataclass(frozen=True)
class Together:
    """What a script and its children have shown.

    `own` is what the script itself has, None where it only started the others (a launcher).
    """

    own: Explanation | None
    children: tuple[Explanation, ...]

    @classmethod
    def of(cls, own: Explanation, children: Sequence[Left], *, is_launcher: bool) -> Together:
        """Look at what the children of a script have left."""
        return cls(None if is_launcher else own, tuple(map(_explained, children)))

    def values(self, own: dict[str, Any]) -> list[dict[str, Any]]:
        """The public JSON value of each process, of which the script's own is known already."""
        return [*([] if self.own is None else [own]), *(child.to_json() for child in self.children)]

    def merged(self, own: dict[str, Any]) -> dict[str, Any]:
        """The public JSON value of all."""
        from inplace.render.words.merged import merged

        return merged(self.values(own))

    def text(self, own: dict[str, Any]) -> str:
        """What is printed of all."""
        from inplace.render.words.merged_text import to_text

        return to_text(self.merged(own))

    def page(self, own: dict[str, Any]) -> str:
        """The page of all."""
        from inplace.render.picture.ranks import ranks_page

        pictured = [*([] if self.own is None else [self.own]), *self.children]
        return ranks_page(self.merged(own), [(found.trace.process, found.diagram()) for found in pictured])

    def parts(self) -> list[str]:
        """What is put into a file's name for each child: its rank if no other has it, or its id."""
        processes = [child.trace.process for child in self.children]
        ranks = [one.rank for one in processes if one is not None]
        return [_part(one, ranks) for one in processes]


def _explained(left: Left) -> Explanation:
    """What a child shows: its trace, behind what was told of the windows that it has let go of."""
    from inplace.shells.explanation import Explanation
    from inplace.shells.windows import WindowsSeen

    if left.past is None or left.session is None:
        return Explanation.of(left.trace)
    return WindowsSeen.after(left.past).ended(left.session, left.trace)


def _part(process: Process | None, ranks: Sequence[int | None]) -> str:
    if process is None:
        return "child"
    is_only = process.rank is not None and ranks.count(process.rank) == 1
    return f"rank{process.rank}" if is_only else f"pid{process.pid}"
