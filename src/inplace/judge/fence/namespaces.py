"""A network and a /dev/shm of the replay's own, where the kernel gives them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import socket
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from inplace.judge.fence.kernel import system_call

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # it is our own that we write to
_UNSHARE, _MOUNT = {"x86_64": (272, 165)}.get(platform.machine(), (97, 40))
_NEW_MOUNTS, _NEW_USER, _NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000
_PRIVATE = 0x4000 | 1 << 18  # MS_REC and MS_PRIVATE: nobody else sees what is mounted here
_NO_SETUID_NO_DEVICES = 2 | 4
_BIND = 0x1000 | 0x4000  # MS_BIND and MS_REC
_MOUNT_SETATTR, _AT_CWD, _RECURSIVE, _READ_ONLY = 442, -100, 0x8000, 1
_SET_FLAGS, _UP = 0x8914, 1


@dataclass(frozen=True, slots=True)
class Own:
    """What is the replay's own.

    Attributes:
        network: whether it has a network, in which there is nobody else.
        memory: whether /dev/shm is its own.
        lent: what lies in /dev/shm all the same, to be read.
    """

    network: bool = False
    memory: bool = False
    lent: frozenset[Path] = frozenset()


def own_network_and_memory() -> Own:
    """Leave the machine's network and its shared memory for own ones, as far as the kernel gives them."""
    if not _unshared():
        return Own()
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
    try:
        found = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in SHARED_MEMORY.iterdir()}
        system_call(_MOUNT, b"none", b"/", None, _PRIVATE, None)
        system_call(_MOUNT, b"tmpfs", bytes(SHARED_MEMORY), b"tmpfs", _NO_SETUID_NO_DEVICES, None)
    except OSError:
        return Own(network=True)
    for path, opened in found.items():
        _lend(path, opened)
        os.close(opened)
    return Own(network=True, memory=True, lent=frozenset(found))


def _lend(path: Path, opened: int) -> None:
    """Have a file or folder of the machine's shared memory stand in our own, read only."""
    if stat.S_ISDIR(os.fstat(opened).st_mode):
        path.mkdir()
    else:
        path.touch()
    system_call(_MOUNT, f"/proc/self/fd/{opened}".encode(), bytes(path), None, _BIND, None)
    read_only = struct.pack("=QQQQ", _READ_ONLY, 0, 0, 0)
    system_call(_MOUNT_SETATTR, _AT_CWD, bytes(path), _RECURSIVE, read_only, len(read_only))


def _unshared() -> bool:
    """Whether we stand apart: with our rights if they allow it, else as a user without any of them outside."""
    user, group = os.geteuid(), os.getegid()
    with contextlib.suppress(OSError):
        system_call(_UNSHARE, _NEW_MOUNTS | _NEW_NETWORK)
        return True
    try:
        system_call(_UNSHARE, _NEW_USER | _NEW_MOUNTS | _NEW_NETWORK)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError:
        return False
    return True
