"""Runs a script or cell again in this process, for `verify`: `python -m inplace.judge.replay FOLDER`.

The order is a file in the folder, and the answer is written beside it. The process is fenced before it begins: see
NOTE [ The fence ].
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from inplace.judge.fence.obey import obey

ANSWER = "answer.pt"


def carry_out(order: dict[str, Any], folder: Path) -> None:
    """Run the code of an order, and write down what came of it."""
    import torch

    from inplace.judge.rerun import rerun

    torch.save(rerun(order, folder), folder / ANSWER)


if __name__ == "__main__":
    obey(Path(sys.argv[1]), ANSWER, carry_out)
