"""Runs a script or cell again in this process, for `verify`: `python -m inplace.judge.replay ORDER`.

The order is a JSON file; the answer is written beside it. Nothing else is written: whatever would write a file, start a
process or open a connection is refused, and the replay then proves nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from inplace.judge.fence import restrict_writes


def main(order_path: str) -> None:
    """Carry out an order."""
    folder = Path(order_path).parent
    restrict_writes(folder)  # before there are other threads, which it would not reach
    sys.dont_write_bytecode = True
    from inplace.judge.rerun import rerun

    rerun(json.loads(Path(order_path).read_text(encoding="utf-8")), folder)


if __name__ == "__main__":
    main(sys.argv[1])
