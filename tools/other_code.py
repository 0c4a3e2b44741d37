"""Train other people's code for some steps, recorded, and say what we would tell its authors.

    python tools/other_code.py [--python PYTHON] [NAME ...]

The yardstick for false alarms: the programs under `tools/other_code` use libraries as their own examples do, or are the
usual training loops in a small form. All of them are sound, so that every error or warning is a false alarm, and every
info but those that say why an in-place call is safe is one that a maintainer might call noise.

The command makes an environment of its own under `build/other-code` and installs the libraries there; it takes about
20 minutes the first time and a gigabyte or two, and downloads no weights and no data. Not for CI.
Exit status 0 only if every program ended as it does unrecorded and nothing was told of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ROOT / "tools" / "other_code"
PLACE = ROOT / "build" / "other-code"
LIBRARIES = (
    *("transformers", "accelerate", "peft", "lightning", "stable-baselines3", "diffusers", "torch-geometric"),
    *("gpytorch", "pyro-ppl", "captum", "opacus", "vector-quantize-pytorch", "ema-pytorch"),
)
_LONGEST = 900  # seconds for one program
# No file is fetched, and one thread is enough for models of this size.
_SURROUNDINGS = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True, slots=True)
class Told:
    """What a recorded program was told of: how often each severity, what that was, and what went wrong."""

    name: str
    calls: int
    counts: Counter[str]
    findings: tuple[str, ...]
    wrong: str

    @property
    def is_quiet(self) -> bool:
        """Whether a maintainer would have nothing to object to."""
        return not self.findings and not self.wrong


def environment() -> Path:
    """The Python of an environment with the libraries and this package, made where there is none."""
    python = PLACE / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PLACE)], check=True)
    wanted = ["--editable", str(ROOT), *LIBRARIES]
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--prefer-binary"]
    subprocess.run([*command, "torch==2.13.*", *wanted], check=True)
    return python


def told_of(python: Path, program: Path) -> Told:
    """Run a program recorded, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [str(python), "-m", "inplace", "run", "--quiet", "--json", str(report), str(program)]
        surroundings = {**os.environ, **_SURROUNDINGS}
        try:
            done = subprocess.run(
                command, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=_LONGEST, check=False
            )
        except subprocess.TimeoutExpired:
            return Told(program.stem, 0, Counter(), (), f"it took more than {_LONGEST} seconds")
        if not report.exists():
            return Told(program.stem, 0, Counter(), (), (done.stderr.strip().splitlines() or ["no report"])[-1])
        found = json.loads(report.read_text(encoding="utf-8"))
    noisy = [one for one in found["diagnoses"] if one["kind"] != "safe-in-place"]
    findings = tuple(f"{one['severity']} {one['kind']}: {one['message'].splitlines()[0]}" for one in noisy)
    error = found["error"]
    wrong = f"{error['type']}: {error['message']}" if error is not None else found["reason"] or ""
    counts = Counter(str(one["severity"]) for one in noisy)
    safe = sum(one["kind"] == "safe-in-place" for one in found["diagnoses"])
    return Told(program.stem, found["calls"], counts + Counter(safe=safe), findings, wrong)


def main() -> int:
    """Run the programs and print a table, then everything that was told."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", type=Path, help="a Python that has the libraries and this package already")
    parser.add_argument("names", nargs="*", help="parts of the names of programs; all of them without any")
    options = parser.parse_args()
    python = options.python or environment()
    programs = [one for one in sorted(PROGRAMS.glob("*.py")) if one.stem != "__init__"]
    wanted = [one for one in programs if not options.names or any(name in one.stem for name in options.names)]
    found = []
    print("| program | calls | errors | warnings | infos | safe in place |\n| --- | --- | --- | --- | --- | --- |")
    for program in wanted:
        one = told_of(python, program)
        counts = " | ".join(str(one.counts[key]) for key in ("error", "warning", "info", "safe"))
        print(f"| `{one.name}` | {one.calls:,} | {counts} |", flush=True)
        found.append(one)
    for one in found:
        for line in (*one.findings, *([one.wrong] if one.wrong else [])):
            print(f"{one.name}: {line}")
    quiet = sum(one.is_quiet for one in found)
    print(f"\n{quiet} of {len(found)} programs were told of nothing")
    return int(quiet != len(found))


if __name__ == "__main__":
    sys.exit(main())
