"""`torchrun -m inplace run`: a file for each rank, each ends as it would without us, and `inplace merge` joins them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import inplace
from tests.commands import run_module

CASES = sorted((Path(__file__).parent / "cases").glob("*.py"))
SCHEMA = json.loads((Path(inplace.__file__).parent / "render/words/diagnoses.schema.json").read_text())
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def started(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with one thread."""
    if arguments[:2] in {("-m", "inplace"), TORCHRUN[:2]}:
        return run_module(*map(str, arguments[1:]), folder=folder)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)


def settled(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The same, again where gloo's threads have ended it after its code was over, as they do now and then."""
    runs = (started(folder, *arguments) for _ in range(10))
    return next(one for one in runs if "terminate called without an active exception" not in one.stderr)


def merged(folder: Path, script: Path) -> dict[str, Any]:
    """What two ranks say of a script as one; each is held to the schema."""
    started(folder, *TORCHRUN, "-m", "inplace", "run", "--quiet", "--json", "out.json", script)
    files = sorted(folder.glob("out*.json"))
    assert [file.name for file in files] == ["out.rank0.json", "out.rank1.json"]
    for file in files:
        jsonschema.validate(json.loads(file.read_text()), SCHEMA)
    ours = started(folder, "-m", "inplace", "merge", *files, "--quiet", "--json", "merged.json")
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, "", "")
    value: dict[str, Any] = json.loads((folder / "merged.json").read_text())
    jsonschema.validate(value, SCHEMA)
    return value


def header(path: Path) -> dict[str, str]:
    """The `# key: value` lines at the top of a case."""
    lines = (re.match(r"# (\w+): (.*)", line) for line in path.read_text().splitlines())
    return {match[1]: match[2] for match in lines if match is not None}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_is_diagnosed_with_its_ranks(path: Path, tmp_path: Path) -> None:
    """The kind, the line and the ranks of its header, and nothing else that is loud."""
    want = header(path)
    ranks = [int(number) for number in re.findall(r"\d", (re.match(r"[\d ]*", want["ranks"]) or [""])[0])]

    value = merged(tmp_path, path)

    loud = [one for one in value["diagnoses"] if one["severity"] != "info"]
    found = [(one["kind"], one["culprits"][0]["line"], one["ranks"]) for one in loud]
    expected = [] if want["kind"] == "harmless" else [(want["kind"], int(want["culprit"]), ranks)]
    assert found == expected


def test_a_rank_that_lost_its_peer_follows_the_one_that_failed(tmp_path: Path) -> None:
    """The error of the job is that of the rank which ended first by an error of its own."""
    script = tmp_path / "script.py"
    script.write_text(
        "import torch, torch.distributed as dist\ndist.init_process_group('gloo')\n"
        "if dist.get_rank() == 1:\n    raise KeyError('mine')\ndist.all_reduce(torch.ones(1))\n"
    )

    value = merged(tmp_path, script)

    assert (value["error"]["type"], value["error"]["line"]) == ("KeyError", 4)
    assert [one["follows"] for one in value["processes"]] == [1, None]
    assert "rank 0 only lost its peer; rank 1 ended first by its KeyError, line 4." in [
        one["message"] for one in value["differences"]
    ]


def test_a_rank_that_is_told_to_end_leaves_its_report(tmp_path: Path) -> None:
    """Torchrun ends the others when one has failed: what they had found by then is written."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, torch\nx = torch.ones(3, requires_grad=True)\n"
        "w = torch.ones(3)\ny = (x * w).sum()\nw.data.mul_(3)\ny.backward()\n"
        "open(f'ready{os.environ[\"RANK\"]}', 'w').close()\n"
        "while not os.path.exists('ready0'):\n    pass\n"
        "if os.environ['RANK'] == '1':\n    raise ValueError('rank 1 failed')\nsignal.pause()\n"
    )

    value = merged(tmp_path, script)

    assert [(one["kind"], one["ranks"]) for one in value["diagnoses"]] == [("silent-corruption", [0, 1])]
    assert "SIGTERM" in value["processes"][0]["reason"]
    assert value["processes"][0]["follows"] == 1


KILLED = """
import os, signal, torch, torch.distributed as dist
dist.init_process_group("gloo")
x = torch.ones(3, requires_grad=True)
w = torch.ones(3)
y = (x * w).sum()
w.data.mul_(3)
y.backward()
dist.barrier()
if dist.get_rank() == 1:
    {end}
dist.all_reduce(torch.ones(1))
"""
BY_SIGNAL = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.one_of(3)
@pytest.mark.parametrize(("end", "is_outside"), [(BY_SIGNAL, True), (BY_SIGNAL, False), ("os._exit(3)", True)])
def test_a_rank_that_is_killed_keeps_nobody_waiting(end: str, *, is_outside: bool, tmp_path: Path) -> None:
    """The others leave and print their reports, and what is said of all tells which rank has left none."""
    script = tmp_path / "script.py"
    script.write_text(KILLED.format(end=end).strip())
    ours = ["-m", "inplace", "run", "--json", "out.json"]

    ran = started(tmp_path, *(TORCHRUN if is_outside else ours), *(ours if is_outside else TORCHRUN), script)
    if is_outside:
        started(tmp_path, "-m", "inplace", "merge", "out.rank0.json", "--json", "out.json")

    assert {one.name for one in tmp_path.glob("*.json")} == {"out.json", "out.rank0.json"}
    value = json.loads((tmp_path / "out.json").read_text())
    jsonschema.validate(value, SCHEMA)
    assert ran.returncode == 1
    assert ran.stderr.count("! silent-corruption [rank 0]: line 6") == 1
    assert [(one["kind"], one["ranks"]) for one in value["diagnoses"]] == [("silent-corruption", [0])]
    assert [one["message"] for one in value["differences"] if one["what"] == "missing"] == [
        "rank 1 left no report (killed, or not given)."
    ]
    assert [one["follows"] for one in value["processes"]] == [1]
    assert "rank 0 only lost its peer; rank 1, which left no report, was gone." in ran.stderr


@pytest.mark.one_of(2)
@pytest.mark.parametrize("name", ["bug3_ddp_buffer", "bug6_one_rank_raises"])
def test_ranks_end_as_without_us(name: str, tmp_path: Path) -> None:
    """What they print is their own, and so is the status that torchrun makes of theirs."""
    path = next(path for path in CASES if path.stem == name)

    plain = settled(tmp_path, *TORCHRUN, path)
    ours = settled(tmp_path, *TORCHRUN, "-m", "inplace", "run", "--quiet", path)

    assert ours.returncode == plain.returncode
    assert sorted(ours.stdout) == sorted(plain.stdout)  # the ranks may write into each other's lines
    told = [re.findall(r"^\[rank1\]: (\w+Error): ", one.stderr, re.MULTILINE) for one in (plain, ours)]
    assert told[0] == told[1]


@pytest.mark.whole
def test_what_all_ranks_say_is_printed_once(tmp_path: Path) -> None:
    """The last rank to end prints for all, and nothing is left of how they found each other."""
    path = next(path for path in CASES if path.stem == "bug1_allreduce_rmse")
    environment = {**os.environ, "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *TORCHRUN, "-m", "inplace", "run", str(path)]

    ours = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert re.findall(r"^! .*: line \d+", ours.stderr, re.MULTILINE) == ["! silent-corruption [ranks 0-1]: line 19"]
    assert "2 processes, 56 calls: 1 warning" in ours.stderr
    assert list(tmp_path.glob("inplace-*")) == []


def test_a_rank_that_fails_prints_its_own_at_once(tmp_path: Path) -> None:
    """What it found is said once, and what it means for the others behind it."""
    path = next(path for path in CASES if path.stem == "bug6_one_rank_raises")

    ours = started(tmp_path, *TORCHRUN, "-m", "inplace", "run", path)

    assert ours.stderr.count("saved-tensor-modified [rank 1]: line 17") == 1
    assert ours.stderr.count("rank 0 only lost its peer; rank 1 ended first") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "this is no report of inplace run"),
        ("[", "it is not JSON"),
        ('{"kind": "torch-inplace trace", "format": 1}', "this trace has format 1"),
    ],
)
def test_what_cannot_be_merged_is_said(text: str, words: str, tmp_path: Path) -> None:
    """A file that is no report is named, and nothing is written."""
    (tmp_path / "a.json").write_text(text)

    ours = started(tmp_path, "-m", "inplace", "merge", "a.json", "--json", "merged.json")

    assert ours.returncode == 2
    assert words in ours.stderr
    assert not (tmp_path / "merged.json").exists()


def test_traces_are_merged_to_a_page(tmp_path: Path) -> None:
    """A page of traces has what all say first, and a switch to the picture of each."""
    path = next(path for path in CASES if path.stem == "bug1_allreduce_rmse")
    started(tmp_path, *TORCHRUN, "-m", "inplace", "run", "--quiet", "--trace", "t.trace", path)

    ours = started(tmp_path, "-m", "inplace", "merge", "t.rank0.trace", "t.rank1.trace", "--html", "page.html")

    assert ours.returncode == 0
    assert "silent-corruption [ranks 0-1]: line 19" in ours.stdout
    page = (tmp_path / "page.html").read_text()
    assert [part in page for part in (">All <", ">rank 0<", ">rank 1<", ">silent-corruption<")] == [True] * 4
