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
