"""Replaces a file only by a new one that is whole: it is written beside the old one and takes its place at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_OPENED = ("/proc/", "/dev/fd/")  # links to what is open, of which the file is not to be replaced


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a new file to write, which takes the place of `path` when the block has ended well.

    Permissions and owner stay, and a link goes on to lead where it did. A pipe, terminal or device is written itself.

    Raises:
        OSError: if it can't be written; the old file is as it was then.
    """
    target = Path(os.path.realpath(path))
    found = _facts_of(target)
    if str(target).startswith(_OPENED) or (found is not None and not stat.S_ISREG(found.st_mode)):
        yield Path(path)
        return
    if found is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    beside = target.parent / f".{os.urandom(6).hex()}.inplace"
    if found is not None and not os.access(target.parent, os.W_OK):
        beside = Path(tempfile.gettempdir()) / beside.name
    try:
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        is_like = found is None or _is_made_like(beside, found)
        yield beside
        _put_in_place(beside, target, renamed=is_like)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _facts_of(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _is_made_like(beside: Path, found: os.stat_result) -> bool:
    """Give a new file the owner and permissions of an old one; whether it has them."""
    mine = beside.stat()
    try:
        if hasattr(os, "chown") and (mine.st_uid, mine.st_gid) != (found.st_uid, found.st_gid):
            os.chown(beside, found.st_uid, found.st_gid)
        beside.chmod(stat.S_IMODE(found.st_mode))
    except OSError:
        return False
    return True


def _put_in_place(beside: Path, target: Path, *, renamed: bool) -> None:
    """Have a whole file take the place of another, by its name, or by its content where the name is held fast."""
    if renamed:
        try:
            beside.replace(target)
        except OSError as refused:  # such as a file that a container was given by itself
            if refused.errno not in {errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES}:
                raise
        else:
            return
    shutil.copyfile(beside, target)
