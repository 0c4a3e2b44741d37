"""What a verdict costs: each case with a change that is shown, as multiples of a plain run of its script.

    python benchmarks/verdicts.py FOLDER [NAME]

Prints, for each script of a folder with something to mend, how much longer than `python SCRIPT` takes `inplace run`,
the same with `--verify`, and one verdict of `inplace judge` on the change that is shown; then the medians.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

Row = tuple[float, float, float]


def seconds(*arguments: str, folder: str) -> float:
    """How long a Python with some arguments takes."""
    begun = time.perf_counter()
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, check=False)  # noqa: S603  # ours
    return time.perf_counter() - begun


def shown(report: Path) -> dict[str, Any] | None:
    """The first change in a report."""
    found = json.loads(report.read_text()) if report.exists() else {"diagnoses": []}
    return next((one["fix"]["rewrite"] for one in found["diagnoses"] if one["fix"]["rewrite"] is not None), None)


def costs(script: Path) -> Row | None:
    """What recording, proving and judging one script cost, as multiples of a plain run; None where nothing is shown."""
    with tempfile.TemporaryDirectory() as folder:
        report, patch = Path(folder) / "report.json", Path(folder) / "patch.json"
        own = str(script.resolve())
        plain = seconds(own, folder=folder)
        run = seconds("-m", "inplace", "run", "--quiet", "--json", str(report), own, folder=folder)
        change = shown(report)
        if change is None:
            return None
        verify = seconds("-m", "inplace", "run", "--quiet", "--verify", own, folder=folder)
        patch.write_text(json.dumps(change))
        judge = seconds("-m", "inplace", "judge", "--patch", str(patch), own, folder=folder)
        return run / plain, verify / plain, judge / plain


def main() -> None:
    """Print the table."""
    folder, name = Path(sys.argv[1]), (sys.argv[2:] or [""])[0]
    print(f"{'case':44} {'run':>6} {'verify':>7} {'judge':>6}  (times a plain run)")
    rows: list[Row] = []
    for script in sorted(one for one in folder.glob("*.py") if name in one.name):
        row = costs(script)
        if row is not None:
            rows.append(row)
            print(f"{script.stem[:44]:44} {row[0]:6.1f} {row[1]:7.1f} {row[2]:6.1f}", flush=True)
    if rows:
        middle = [statistics.median(column) for column in zip(*rows, strict=True)]
        print(f"{'median of ' + str(len(rows)):44} {middle[0]:6.1f} {middle[1]:7.1f} {middle[2]:6.1f}")


if __name__ == "__main__":
    main()
