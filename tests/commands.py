"""Run Python, and scripts, as a user does: in a process of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, forks and file numbers as POSIX has them")


def python(*arguments: object, stdin: str = "", folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with some arguments."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=folder, check=False)


def git(folder: Path, *arguments: str, stdin: str = "") -> None:
    """Run git in a folder; it has to succeed."""
    command = [shutil.which("git") or "git", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, input=stdin.encode())


def script(folder: Path, text: str) -> Path:
    """Write a script."""
    path = folder / "script.py"
    path.write_text(text)
    return path
