"""The recording of the last cell that ran under `%%inplace`, for `inplace.last` and `%inplace why`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inplace.shells.recording import Recording

_LAST: list[Recording | None] = [None]


def last() -> Recording | None:
    """The recording of the last cell that ran under `%%inplace`; None before."""
    return _LAST[0]


def keep_last(recording: Recording) -> None:
    """Make a recording the one that `inplace.last` is."""
    _LAST[0] = recording
