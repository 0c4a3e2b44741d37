"""What of the calls that wait may go on: what stays in the replay's own folder, and among its own processes."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from inplace.judge.fence.namespaces import Own
from inplace.judge.fence.notices import Notice, is_below_us
from inplace.judge.fence.system_calls import IOCTL_OWNER, SET_OWNER, WRITING

# Where the paths in a call's arguments are: the folder each counts from, it, and whether a link at its end leads on.
_PATHS: dict[str, tuple[tuple[int | None, int, bool], ...]] = {
    "open": ((None, 0, True),),
    "openat": ((0, 1, True),),
    "openat2": ((0, 1, True),),
    "creat": ((None, 0, True),),
    "truncate": ((None, 0, True),),
    "rename": ((None, 0, False), (None, 1, False)),
    "renameat": ((0, 1, False), (2, 3, False)),
    "renameat2": ((0, 1, False), (2, 3, False)),
    "link": ((None, 0, False), (None, 1, False)),
    "linkat": ((0, 1, True), (2, 3, False)),
    "symlink": ((None, 1, False),),  # what it leads to is asked when it is opened
    "symlinkat": ((1, 2, False),),
    "unlink": ((None, 0, False),),
    "unlinkat": ((0, 1, False),),
    "rmdir": ((None, 0, False),),
    "mkdir": ((None, 0, False),),
    "mkdirat": ((0, 1, False),),
    "mknod": ((None, 0, False),),
    "mknodat": ((0, 1, False),),
    "chmod": ((None, 0, True),),
    "fchmodat": ((0, 1, True),),
    "fchmodat2": ((0, 1, True),),
    "chown": ((None, 0, True),),
    "lchown": ((None, 0, False),),
    "fchownat": ((0, 1, True),),
    "utime": ((None, 0, True),),
    "utimes": ((None, 0, True),),
    "futimesat": ((0, 1, True),),
    "utimensat": ((0, 1, True),),
    "setxattr": ((None, 0, True),),
    "lsetxattr": ((None, 0, False),),
    "setxattrat": ((0, 1, True),),
    "removexattr": ((None, 0, True),),
    "lremovexattr": ((None, 0, False),),
    "removexattrat": ((0, 1, True),),
    "file_setattr": ((0, 1, True),),
}
_FILES = frozenset(["fchmod", "fchown", "fsetxattr", "fremovexattr", "flock", "fcntl", "ioctl"])
_OPENS = frozenset(["open", "openat", "openat2", "creat"])
_MAKES = frozenset(["mkdir", "mkdirat"])
_NEEDS_A_FILE = frozenset(["unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2"])
_BY_PROCESS = {  # which argument is a process or thread
    "kill": 0,
    "tkill": 0,
    "tgkill": 0,
    "rt_sigqueueinfo": 0,
    "rt_tgsigqueueinfo": 0,
    "prlimit64": 0,
    "sched_setaffinity": 0,
    "sched_setparam": 0,
    "sched_setscheduler": 0,
    "sched_setattr": 0,
    "migrate_pages": 0,
    "move_pages": 0,
    "setpriority": 1,
    "ioprio_set": 1,
}
_OF_A_USER = {"setpriority": 2, "ioprio_set": 3}  # PRIO_USER and IOPRIO_WHO_USER
_OF_A_GROUP = {"setpriority": 1, "ioprio_set": 2}
_AT_CWD, _O_PATH = -100, 0o10000000
_KERNELS = ("/proc/", "/dev/")  # folders whose links mean another file to everybody who asks
_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_OPEN_FILE = re.compile(r"/(?:proc/(self|thread-self|\d+)(?:/task/\d+)?|dev)/fd/(\d+)")
_NAME_SERVICE = "/nscd/socket"  # which the C library asks for a user's name before it reads the file
_LONGEST_ADDRESS = 128


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a call: it goes on where `error` is None, else it ends with that; 0 is success.

    `refused` says what it wanted, `opened` which own file it may open for writing.
    """

    error: int | None = None
    refused: str | None = None
    opened: str | None = None


GO_ON = Decision()


class Decisions:
    """Decides about the calls of a replay's processes.

    Args:
        places: folders that are the replay's own, links followed.
        devices: what may be opened for writing.
        own: what else is its own.
        still_waits: whether a call still waits, asked before something is done for it.
    """

    def __init__(
        self,
        places: Iterable[Path],
        devices: Iterable[Path],
        own: Own,
        still_waits: Callable[[Notice], bool],
    ) -> None:
        self._places = tuple(os.fspath(place) for place in places)
        self._devices = frozenset(map(os.fspath, devices))
        self._still_waits = still_waits
        self._own = own
        self._lent = tuple(map(os.fspath, own.lent))

    def about(self, notice: Notice) -> Decision:
        """What becomes of a call."""
        name = notice.name
        try:
            if name in _PATHS:
                return self._of_paths(notice)
            if name in _FILES:
                return self._of_file(notice)
            if name in _BY_PROCESS:
                return self._of_process(notice)
            if name == "socket":
                return _of_socket(notice)
            if name in {"connect", "bind"}:
                return self._of_address(notice)
        except (OSError, ValueError):  # what it is about can't be read
            return _refused(name) if self._still_waits(notice) else GO_ON  # nobody is there to go on
        return _refused(name)

    # ------------------------------------------------------------ files

    def _of_paths(self, notice: Notice) -> Decision:
        if notice.name in _OPENS and _only_reads(notice):
            return self._of_reading(notice)
        paths = [self._path(notice, *where) for where in _PATHS[notice.name]]
        if all(self._is_own(path, opened=notice.name in _OPENS) for path in paths):
            return Decision(opened=paths[0] if notice.name in _OPENS else None)
        if notice.name in _MAKES and os.path.lexists(paths[0]):
            return Decision(errno.EEXIST)
        if notice.name in _NEEDS_A_FILE and not os.path.lexists(paths[0]):
            return Decision(errno.ENOENT)
        outside = next(path for path in paths if not self._is_own(path, opened=notice.name in _OPENS))
        return _refused(f"{re.sub(r'at2?$', '', notice.name)} {outside}")

    def _of_reading(self, notice: Notice) -> Decision:
        """What is read from a pipe with a name, or from a terminal, is taken away from others."""
        _, argument, follows = where = _PATHS[notice.name][0]
        text = notice.text_at(argument) or ""
        path = text if text.startswith("/") and not text.startswith(_KERNELS) else self._path(notice, *where)
        try:
            mode = os.stat(path, follow_symlinks=follows).st_mode  # noqa: PTH116  # once for every file that is read
        except (OSError, ValueError):  # the kernel says why
            return GO_ON
        if (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)) and not self._is_own(path, opened=True):
            return _refused(f"open {path}")
        return GO_ON

    def _path(self, notice: Notice, folder: int | None, argument: int, follows: bool) -> str:  # noqa: FBT001
        """What a path leads to; for an open file, as the kernel names it."""
        descriptor = _AT_CWD if folder is None else notice.signed(folder)
        text = notice.text_at(argument)
        if not text:  # the open file itself is meant
            return _named(notice, descriptor)
        if text in _STREAMS:
            return _named(notice, _STREAMS[text])
        found = _OPEN_FILE.fullmatch(text)
        if found is not None and follows:
            whose = int(found[1]) if (found[1] or "self").isdigit() else notice.process
            return _named(notice, int(found[2]), whose) if is_below_us(whose) else text
        whole = text if text.startswith("/") else f"{_named(notice, descriptor)}/{text}"
        head, _, last = whole.rstrip("/").rpartition("/")
        if follows or last in {"", ".", ".."}:
            return os.path.realpath(whole)
        return f"{os.path.realpath(head or '/').rstrip('/')}/{last}"

    def _is_own(self, path: str, *, opened: bool = False) -> bool:
        if not path.startswith("/") or path.startswith("/memfd:"):
            return True  # a pipe, a socket, a file without a name: what it has open is its own
        if opened and path in self._devices:
            return True
        return _is_below(path, self._places) and not _is_below(path, self._lent)

    def _of_file(self, notice: Notice) -> Decision:
        if (notice.name, notice.signed(1)) in {("fcntl", one) for one in SET_OWNER}:
            return _refused(notice.name)
        if notice.name == "ioctl" and notice.arguments[1] & 0xFFFFFFFF in IOCTL_OWNER:
            return _refused(notice.name)
        path = _named(notice, notice.signed(0))
        if notice.name == "ioctl" and path.startswith("socket:"):
            return _refused(notice.name)
        return GO_ON if self._is_own(path) else _refused(f"{notice.name} {path}")

    # ------------------------------------------------------------ processes

    def _of_process(self, notice: Notice) -> Decision:
        name, target = notice.name, notice.signed(_BY_PROCESS[notice.name])
        if name == "kill" and notice.signed(1) == 0:
            return GO_ON  # it only asks whether there is one
        which = notice.signed(0)
        if which == _OF_A_USER.get(name) or (which == _OF_A_GROUP.get(name) and target != 0):
            return _refused(f"{name} {target}")
        if target < -1 and name == "kill":  # a group, which has the number of its first process
            target = -target
        return GO_ON if target == 0 or (target > 0 and is_below_us(target)) else _refused(f"{name} {target}")

    # ------------------------------------------------------------ sockets

    def _of_address(self, notice: Notice) -> Decision:
        """A local socket in an own folder is connected or bound by us, with the address that we have looked at."""
        address = notice.bytes_at(notice.arguments[1], min(notice.arguments[2] & 0xFFFFFFFF, _LONGEST_ADDRESS))
        (family,) = struct.unpack_from("=H", address)
        if family in {socket.AF_INET, socket.AF_INET6}:
            if notice.name == "bind" and self._own.network:
                return GO_ON
            return _refused(f"{notice.name} {_spelled(family, address)}")
        path = os.fsdecode(address[2:].partition(b"\0")[0]) if family == socket.AF_UNIX else ""
        if path.startswith("/") and self._is_own(os.path.realpath(path)):
            return self._done(notice, path)
        if path.endswith(_NAME_SERVICE):
            return Decision(errno.ENOENT)
        return _refused(f"{notice.name} {path}".strip())

    def _done(self, notice: Notice, path: str) -> Decision:
        held = notice.file_of(notice.signed(0))
        with socket.socket(fileno=held) as theirs:
            if not self._still_waits(notice):
                return GO_ON  # nobody is there to go on
            try:
                (theirs.connect if notice.name == "connect" else theirs.bind)(path)
            except OSError as refused:
                return Decision(refused.errno or errno.EPERM)
        return Decision(0)


def _only_reads(notice: Notice) -> bool:
    if notice.name == "creat":
        return False
    if notice.name == "openat2":
        (flags,) = struct.unpack("=Q", notice.bytes_at(notice.arguments[2], 8))
    else:
        flags = notice.arguments[2 if notice.name == "openat" else 1]
    return bool(flags & _O_PATH) or not flags & WRITING


def _is_below(path: str, places: tuple[str, ...]) -> bool:
    return any(path == place or path.startswith(place + "/") for place in places)


def _of_socket(notice: Notice) -> Decision:
    family, kind = notice.signed(0), notice.signed(1) & 0xF
    streams = {socket.SOCK_STREAM, socket.SOCK_SEQPACKET} if family == socket.AF_UNIX else {socket.SOCK_STREAM}
    if family in {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6} and kind in streams:
        return GO_ON
    return _refused("socket")


def _refused(what: str) -> Decision:
    return Decision(errno.EPERM, what)


def _named(notice: Notice, descriptor: int, whose: int | None = None) -> str:
    """What the kernel calls an open file, or the folder that a thread is in."""
    process = notice.process if whose is None else whose
    where = f"/proc/{notice.thread}/cwd" if descriptor == _AT_CWD else f"/proc/{process}/fd/{descriptor}"
    return os.fspath(Path(where).readlink()).removesuffix(" (deleted)")


def _spelled(family: int, address: bytes) -> str:
    (port,) = struct.unpack_from("!H", address, 2)
    start, length = (4, 4) if family == socket.AF_INET else (8, 16)
    return f"{socket.inet_ntop(family, address[start : start + length])}:{port}"
