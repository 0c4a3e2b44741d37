"""The files that were named on the command line, and the streams that such a name may lead to."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from inplace.shells.terminal.per_process import with_part, without_rank

_OPENED = re.compile(r"/dev/(?:fd/|(std)(?=in|out|err))(\d+|in|out|err)|/proc/self/fd/(\d+)")
_STANDARD = {"in": 0, "out": 1, "err": 2}


class Target:
    """A file that was named on the command line, or what such a name leads to.

    Attributes:
        given: the name as it was given.
        is_file: whether it can be written more than once: a file, or nothing yet.
    """

    def __init__(self, given: str) -> None:
        self.given = given
        number = _number_of(given)
        self._stream = None if number is None else copy_of(number)
        self._path = str(Path(given).absolute()) if number is None else given
        self.is_file = number is None and (not Path(given).exists() or Path(given).is_file())

    @contextlib.contextmanager
    def opened(self) -> Iterator[TextIO]:
        """A stream to write it; a file is replaced when all of it has been written."""
        if self._stream is not None:
            with flushed(self._stream) as stream:
                yield stream
            return
        with self.replaced() as path, path.open("w", encoding="utf-8") as file:
            yield file

    @contextlib.contextmanager
    def replaced(self) -> Iterator[Path]:
        """A file to write by its name, which takes the place of this one at the end."""
        from inplace.facts.whole_file import replacing  # with what a script must not find imported

        if self._stream is None:
            with replacing(self._path) as path:
                yield path
            return
        import shutil
        import tempfile

        with tempfile.TemporaryDirectory(prefix="inplace-") as folder:
            whole = Path(folder) / "whole"
            yield whole
            with whole.open(encoding="utf-8") as file, flushed(self._stream) as stream:
                shutil.copyfileobj(file, stream)

    @contextlib.contextmanager
    def of_child(self, part: str) -> Iterator[Target]:
        """The file beside this one that belongs to another process, called by its part of the name."""
        target = Target(with_part(without_rank(self._path), part))
        try:
            yield target
        finally:
            target.close()

    def close(self) -> None:
        """Let go of a stream."""
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.close()


def _number_of(name: str) -> int | None:
    """The number of the open file that a name stands for, None for other names."""
    match = _OPENED.fullmatch(name)
    if match is None:
        return None
    said = match[2] or match[3]
    return _STANDARD[said] if said in _STANDARD else int(said)


def copy_of(number: int) -> TextIO | None:
    """A stream of our own to where an open file leads; None where it leads nowhere."""
    stream = {1: sys.stdout, 2: sys.stderr}.get(number)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        return os.fdopen(os.dup(number), "w", encoding=encoding, errors="backslashreplace")
    except OSError:
        return None


@contextlib.contextmanager
def flushed(stream: TextIO) -> Iterator[TextIO]:
    """Write to a stream whose reader may have gone, or which may be full, without a word about it."""
    with contextlib.suppress(BrokenPipeError):
        yield stream
        stream.flush()
