"""A place in the picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spot:
    """A piece of source in the picture: `source` indexes `Diagram.sources`, -1 where that source is not shown."""

    source: int
    label: str
    line: int
    column: int
    end_line: int
    end_column: int
    code: str
    step: int | None
