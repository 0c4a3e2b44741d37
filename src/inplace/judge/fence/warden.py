"""The warden: puts a fence around a program, runs it, answers for what it may do, and ends all of it.

It watches its standard input: the end of it means that whoever asked is gone, so everything is ended and the folder of
all replays removed; a byte there means to end this program only.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from inplace.judge.fence import kernel
from inplace.judge.fence.call_filter import ask_about
from inplace.judge.fence.decisions import Decisions
from inplace.judge.fence.landlock import restrict_writes
from inplace.judge.fence.marks import BEGUN, ENDED
from inplace.judge.fence.namespaces import SHARED_MEMORY, own_network_and_memory
from inplace.judge.fence.notices import Notices, is_below_us
from inplace.judge.fence.system_calls import this_machine

_DEVICES = ("null", "zero", "full", "random", "urandom", "nvidia*", "kfd", "dri/*")
_FENCED = b"fenced"
_LIFE = 0  # the descriptor that says whether anybody waits for us
_LONGEST_REASON = 1000


@dataclass
class _Report:
    """What is written in the end: why there is no fence, or what was refused first and how the program ended."""

    no_fence: str | None = None
    refused: str | None = None
    status: int | None = None


def main(report: str, folder: str, *command: str) -> None:
    """Run a command that may act in a folder only, and write a report about it beside that folder."""
    found = _Report()
    try:
        _guard(Path(folder).resolve(), command, found)
    except OSError as refused:
        found.no_fence = refused.strerror or str(refused)
    finally:
        _end_all()
    with contextlib.suppress(FileNotFoundError):  # everything has been removed
        Path(report).write_text(json.dumps(vars(found)), encoding="utf-8")


def _guard(folder: Path, command: tuple[str, ...], found: _Report) -> None:
    machine = this_machine()
    if machine is None:
        found.no_fence = "the numbers of its system calls are not known"
        return
    kernel.adopt_orphans()
    own = own_network_and_memory()
    devices = tuple(one for name in _DEVICES for one in Path("/dev").glob(name))
    folders = (folder, SHARED_MEMORY) if own.memory else (folder,)
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            _fence_in(folders, devices, machine, theirs, may_bind=own.network)
            os.execv(command[0], command)  # noqa: S606  # no shell is wanted
        os._exit(1)
    theirs.close()
    word, listeners, _, _ = socket.recv_fds(ours, _LONGEST_REASON, 1)
    if word != _FENCED:
        found.no_fence = word.decode(errors="replace") or "it ended while it was being fenced"
        return
    notices = Notices(listeners[0], machine[1])
    decisions = Decisions(folders, devices, own, notices.still_waits)
    _Watch(child, listeners[0], notices, decisions, folder, found).until_the_end()


def _fence_in(
    folders: Iterable[Path],
    devices: Iterable[Path],
    machine: tuple[int, dict[str, int]],
    word: socket.socket,
    *,
    may_bind: bool,
) -> None:
    """Fence this process in, and send the warden what tells of its calls, or why there is no fence."""
    try:
        kernel.end_with_parent(signal.SIGKILL)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), _LIFE)
        kernel.take_no_new_rights()
        restrict_writes(folders, devices, may_bind=may_bind)
        socket.send_fds(word, [_FENCED], [ask_about(*machine)])
    except OSError as refused:
        word.send((refused.strerror or str(refused)).encode())
        raise


class _Watch:
    """Answers for a program until it has ended, or until it is to end."""

    def __init__(
        self, child: int, listener: int, notices: Notices, decisions: Decisions, folder: Path, found: _Report
    ) -> None:
        self._child, self._listener = child, listener
        self._notices, self._decisions, self._found = notices, decisions, found
        self._folder = folder
        self._counts = False

    def until_the_end(self) -> None:
        """Answer, and note how it ended."""
        ended = os.pidfd_open(self._child)
        poll = select.poll()
        for one in (_LIFE, ended):
            poll.register(one, select.POLLIN)
        poll.register(self._listener, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if _LIFE in ready:
                if os.read(_LIFE, 1) == b"":
                    _end_all()
                    shutil.rmtree(self._folder.parent, ignore_errors=True)
                return
            if ready.get(self._listener, 0) & select.POLLIN:
                self._answer()
            elif ended in ready:
                self._found.status = os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])
                return

    def _answer(self) -> None:
        notice = self._notices.next()
        if notice is None:
            return
        decision = self._decisions.about(notice)
        if self._counts and decision.refused is not None:
            self._found.refused = self._found.refused or decision.refused
        if decision.opened == str(self._folder / BEGUN):
            self._counts = True
        elif decision.opened == str(self._folder / ENDED):
            self._counts = False
        self._notices.answer(notice, decision.error)


def _end_all() -> None:
    """End every process below this one; those whose parents have ended are ours by now."""
    while True:
        for one in Path("/proc").glob("[0-9]*"):
            if is_below_us(int(one.name)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(one.name), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
