"""Keeps a replay from writing anything outside its own folder, before it is felt: the kernel refuses, and so do we.

NOTE [ Two fences ]
Python's audit events name what was refused, but only what goes through Python is heard: `torch.save` with a path opens
its file in C++, and so do sqlite3, safetensors and h5py. On Linux from 5.13 on the kernel refuses those as well
(Landlock, which needs no rights); elsewhere `torch.save` and sqlite3 are refused by name, and other native code is not.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_OPEN = Path("/proc/self/fd")
_NO_FOLDER = 99
_ON_PATHS: dict[str, tuple[tuple[int, int], ...]] = {
    # Audit events that change files: where in their arguments a path is, and the folder that it counts from.
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),  # what it leads to is asked when it is opened
    "os.truncate": ((0, _NO_FOLDER),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.utime": ((0, 3),),
    "os.setxattr": ((0, _NO_FOLDER),),
    "os.removexattr": ((0, _NO_FOLDER),),
    "shutil.move": ((0, _NO_FOLDER), (1, _NO_FOLDER)),
    "shutil.rmtree": ((0, 1),),
    "sqlite3.connect": ((0, _NO_FOLDER),),
}
_NEVER = frozenset(
    [
        "os.fork",
        "os.forkpty",
        "os.exec",
        "os.kill",
        "os.killpg",
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "os.system",
        "subprocess.Popen",
        "socket.connect",
        "socket.bind",
        "socket.sendto",
    ]
)

# From linux/landlock.h. The numbers of the system calls are those of every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH, _NO_NEW_PRIVS = 1, 1, 38
_WRITE_FILE, _MAKE_AND_REMOVE, _TRUNCATE = 1 << 1, sum(1 << bit for bit in range(4, 13)), 1 << 14
_TRUNCATE_SINCE = 3  # the version that can refuse it


class RefusedError(PermissionError):
    """What a replay may not do."""


class Fence:
    """Refuses what would be felt outside, by Python's audit events, while it is on."""

    def __init__(self, folder: Path) -> None:
        self.on = False
        self.refused: str | None = None
        self._folder = folder.resolve()
        sys.addaudithook(self._heard)

    def refuse(self, what: str) -> None:
        """Stop the code, and remember why.

        Raises:
            RefusedError: always.
        """
        self.refused = self.refused or what
        raise RefusedError(f"a replay may not do this: {what}")

    def is_inside(self, path: Any, folder: Any = None) -> bool:
        """Whether a path lies in the replay's own folder, links followed; `folder` is an open one it counts from."""
        try:
            if isinstance(path, int):
                return (_OPEN / str(path)).readlink().is_relative_to(self._folder)
            counted_from = (_OPEN / str(folder)).readlink() if isinstance(folder, int) and folder >= 0 else Path()
            return (counted_from / os.fsdecode(path)).resolve().is_relative_to(self._folder)
        except (TypeError, ValueError, OSError, RuntimeError):  # no path, or links that lead nowhere
            return False

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        told = f"{event} {arguments[0] if arguments else ''}".strip()
        if event in _NEVER:
            self.refuse(told)
        elif event in _ON_PATHS:
            padded = [*arguments, *[None] * (_NO_FOLDER + 1)]
            paths = [(padded[path], padded[folder]) for path, folder in _ON_PATHS[event]]
            if not all(path == ":memory:" or self.is_inside(path, folder) for path, folder in paths):
                self.refuse(told)
        elif event == "open" and self._writes(*arguments):
            self.refuse(told)

    def _writes(self, path: Any, _mode: Any, flags: Any) -> bool:
        if isinstance(path, int) or path == os.devnull or not isinstance(flags, int):
            return False
        return bool(flags & _WRITING) and not self.is_inside(path)


def restrict_writes(folder: Path) -> bool:
    """Have the kernel refuse writes outside a folder, to this thread and those it will start; whether it does.

    Devices may be written to, as a GPU is one. What is open already stays open.
    """
    if sys.platform != "linux":
        return False
    call = ctypes.CDLL(None, use_errno=True).syscall
    version = call(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return False
    handled = _WRITE_FILE | _MAKE_AND_REMOVE | (_TRUNCATE if version >= _TRUNCATE_SINCE else 0)
    attributes = struct.pack("Q", handled)
    rules = call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules < 0:
        return False
    try:
        allowed = all(_allow(call, rules, path, handled) for path in (folder, Path("/dev")))
        return allowed and _no_new_rights() and call(_RESTRICT_SELF, rules, 0) == 0
    finally:
        os.close(rules)


def _allow(call: Any, rules: int, path: Path, access: int) -> bool:
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return bool(call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", access, found), 0) == 0)
    finally:
        os.close(found)


def _no_new_rights() -> bool:
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
