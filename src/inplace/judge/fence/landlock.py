"""Landlock: the kernel refuses writes outside some folders. It needs no rights, and can't be undone."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path

from inplace.judge.fence.kernel import system_call

# From linux/landlock.h; the numbers of the calls are those of every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_WRITE_FILE, _MAKE_AND_REMOVE = 1 << 1, sum(1 << bit for bit in range(4, 13))
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_OF_FILES = _WRITE_FILE | _TRUNCATE | _IOCTL_DEVICE
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1
_SINCE = ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEVICE))  # the versions that know of a right
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6


def restrict_writes(folders: Iterable[Path], devices: Iterable[Path], *, may_bind: bool) -> None:
    """Have the kernel refuse this process and its children writes outside some folders, and TCP connections.

    What is open already stays open.

    Args:
        folders: where all may be done.
        devices: what may be opened for writing.
        may_bind: whether TCP ports may be taken.

    Raises:
        OSError: if there is no Landlock.
    """
    version = system_call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    handled = _WRITE_FILE | _MAKE_AND_REMOVE | sum(right for since, right in _SINCE if version >= since)
    network = (_CONNECT_TCP | (0 if may_bind else _BIND_TCP)) if version >= _NETWORK_SINCE else 0
    scopes = _ABSTRACT_SOCKETS | _SIGNALS if version >= _SCOPES_SINCE else 0
    attributes = struct.pack("QQQ", handled, network, scopes)
    size = 8 if not network else 16 if not scopes else 24
    rules = system_call(_CREATE_RULESET, attributes[:size], size, 0)
    try:
        for path in folders:
            _allow(rules, path, handled)
        for path in devices:
            _allow(rules, path, handled & _OF_FILES)
        system_call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: Path, rights: int) -> None:
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        system_call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, found), 0)
    finally:
        os.close(found)
