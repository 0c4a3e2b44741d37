"""Carries out what `Fenced.order` writes down, in the process that is started for it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inplace.judge.fence.marks import ORDER


def obey(folder: Path, answer: str, carry_out: Callable[[dict[str, Any], Path], None]) -> None:
    """Carry out the order in a folder, and end at once: nothing of the user's code runs after its answer is there.

    Args:
        folder: of the replay.
        answer: the name of the file in it that `carry_out` writes.
        carry_out: is given the order and the folder.
    """
    try:
        carry_out(json.loads((folder / ORDER).read_text(encoding="utf-8")), folder)
    finally:
        if (folder / answer).exists():
            os._exit(0)
