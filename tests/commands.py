"""Run Python, and scripts, as a user does: in a process of their own."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.some import WHOLE

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, forks and file numbers as POSIX has them")


def python(*arguments: object, stdin: str = "", folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with some arguments."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=folder, check=False)


SCRIPT = "/proc/self/cwd/script.py" if sys.platform == "linux" else "script.py"
"""A script that has the same path in whatever folder Python runs, so that a process that has begun can run each."""

_FORKED = Path(__file__).with_name("forked")
_IMPORTED = {
    "-m inplace": "torch inplace.shells.terminal.cli inplace.capture.record inplace.shells.explanation",
    "-m torch.distributed.run": "torch torch.distributed.launcher.api",
    "-m pytest": "torch",
    SCRIPT: "torch",
}
"""What is imported once for all runs of a command."""


def run_inplace(*arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m inplace` with some arguments, as `run_module` does."""
    return run_module("inplace", *arguments, folder=folder)


def run_module(module: str, *arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m` with a module and some arguments, on one thread, in a process that has imported torch already.

    To import it takes longer than most scripts. Where all tests are run each has a Python of its own, as it has with
    `python` anywhere: that is for scripts that import no torch, or would notice whether it is there.
    """
    if WHOLE or os.name != "posix":
        return python("-m", module, *arguments, folder=folder)
    return _run(f"-m {module}", list(map(str, arguments)), folder or Path.cwd())


def run_script(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the script that is `SCRIPT` in a folder in plain Python, as `run_module` runs a module."""
    if WHOLE or sys.platform != "linux":
        return python(SCRIPT, folder=folder)
    return _run(SCRIPT, [], folder)


def _run(command: str, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    request = {"arguments": arguments, "folder": str(folder), "environment": environment}
    (read_out, write_out), (read_err, write_err) = os.pipe(), os.pipe()
    server = _server(command)
    socket.send_fds(server, [json.dumps(request).encode()], [write_out, write_err])
    os.close(write_out)
    os.close(write_err)
    with os.fdopen(read_out) as out, os.fdopen(read_err) as err, ThreadPoolExecutor(1) as beside:
        said = beside.submit(err.read)
        printed = out.read()
    return subprocess.CompletedProcess([command, *arguments], int(server.recv(16)), printed, said.result())


@functools.cache
def _server(command: str) -> socket.socket:
    """The process that forks the runs of a command."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    paths = os.pathsep.join(filter(None, [str(_FORKED), os.environ.get("PYTHONPATH")]))
    settings = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, *command.split()],
        env={**os.environ, **settings, "FORKED": f"{theirs.fileno()} {_IMPORTED[command]}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()

    def close() -> None:
        ours.close()
        process.wait()

    atexit.register(close)
    return ours


def git(folder: Path, *arguments: str, stdin: str = "") -> None:
    """Run git in a folder; it has to succeed."""
    command = [shutil.which("git") or "git", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, input=stdin.encode())


def script(folder: Path, text: str) -> Path:
    """Write a script."""
    path = folder / "script.py"
    path.write_text(text)
    return path
