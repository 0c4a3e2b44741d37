"""Imports torch once for many runs of a command: each is a fork that goes on from here as Python ever does.

Python imports a module of this name before it looks at what it is to run, so that is run, and ended, by Python
itself, below nothing of ours. What a run is given comes over a socket, with its output and its errors as open files;
its exit status goes back.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
from pathlib import Path


def _serve(asked: socket.socket) -> None:
    while True:
        given, streams, _, _ = socket.recv_fds(asked, 1 << 20, 2)
        if not given:
            os._exit(0)
        child = os.fork()
        if not child:
            asked.close()
            _begin(streams, **json.loads(given))
            return
        for stream in streams:
            os.close(stream)
        asked.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _begin(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv += arguments
    sys.orig_argv += arguments
    sys.path.remove(str(Path(__file__).parent))


if "FORKED" in os.environ:
    _number, *_modules = os.environ.pop("FORKED").split()
    for _module in _modules:
        __import__(_module)
    gc.collect()
    gc.freeze()  # forks then neither copy nor go through what is there
    _serve(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=int(_number)))
