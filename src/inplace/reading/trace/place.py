"""Where in the user's source something is."""

from __future__ import annotations

from dataclasses import dataclass

from inplace.facts.model import Position


@dataclass(frozen=True, slots=True)
class Place:
    """A piece of the user's source and the call that it stands for.

    `code` is the text of exactly that range; `step` is None where no recorded call was made there.
    """

    label: str
    file: str
    position: Position
    code: str
    step: int | None

    @property
    def spot(self) -> tuple[str, str, Position]:
        """What is the same for all calls of it: two runs of one cell are two, though Python calls both the same."""
        return self.label, self.file, self.position
