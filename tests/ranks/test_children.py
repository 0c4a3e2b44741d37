"""Children of a script are recorded as it is, whoever starts them and how, and told of in one report."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.commands import POSIX
from tests.ranks.test_command import CASES, SCHEMA, started

WORK = """
import sys, torch
def work(i):
    torch.set_num_threads(1)
    x = torch.ones(2, requires_grad=True)
    h = torch.sigmoid(x)
    if i:
        h.mul_(2)
    h.sum().backward()
    return i
def tried(i):
    try:
        return work(i)
    except RuntimeError:
        return "raised"
class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 2
    def __getitem__(self, i):
        return str(tried(i))
if __name__ == "__main__":
"""
RAISES = 8  # the line `h.mul_(2)`
PROCESSES = """
    import multiprocessing
    made = [multiprocessing.get_context("{how}").Process(target=work, args=(i,)) for i in range(2)]
    for one in made:
        one.start()
    for one in made:
        one.join()
    print([one.exitcode for one in made])
"""
WAYS = {
    "a pool": """
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(tried, [0, 1]))
""",
    "a spawned pool": """
    import multiprocessing
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(tried, [0, 1]))
""",
    "an executor": """
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(2) as pool:
        print(list(pool.map(tried, [0, 1])))
""",
    "a loader": """
    print([one for batch in torch.utils.data.DataLoader(Data(), num_workers=2) for one in batch])
""",
    "torch's own spawn": """
    import torch.multiprocessing
    torch.multiprocessing.spawn(tried, nprocs=2)
    print("end")
""",
    "one that is not joined": """
    import multiprocessing
    multiprocessing.Process(target=tried, args=(1,)).start()
    print("end")
""",
}
pytestmark = POSIX


def recorded(folder: Path, text: str, *options: str) -> tuple[dict[str, Any], str, str, int]:
    """The report of a script and its children; what it printed, what was said, and its exit status."""
    script = folder / "script.py"
    script.write_text((WORK + text).lstrip("\n"))
    ours = started(folder, "-m", "inplace", "run", "--json", "out.json", *options, script)
    value = json.loads((folder / "out.json").read_text())
    jsonschema.validate(value, SCHEMA)
    return value, ours.stdout, ours.stderr, ours.returncode


def loud(value: dict[str, Any]) -> list[tuple[str, int]]:
    """The kinds and first lines of what is an error or a warning."""
    return [(one["kind"], one["culprits"][0]["line"]) for one in value["diagnoses"] if one["severity"] != "info"]


@pytest.mark.one_of(3)
@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_children_are_told_of_however_they_are_started(how: str, tmp_path: Path) -> None:
    """The error of a child is found at its line; it ends, and prints its traceback, as ever."""
    value, printed, said, status = recorded(tmp_path, PROCESSES.format(how=how))

    assert (printed, status) == ("[0, 1]\n", 0)
    assert loud(value) == [("saved-tensor-modified", RAISES - 1)]
    assert sorted(one["started_as"] for one in value["processes"]) == sorted([how, how, "script"])
    told = said.partition("✗")[0]
    assert re.findall(r"^Process (\w+)-\d:$", told, re.MULTILINE)
    assert "inplace/" not in told.replace("modified by an inplace", "")
    files = {path.name for path in tmp_path.glob("out*.json")}
    assert files == {"out.json", *(f"out.pid{one['pid']}.json" for one in value["processes"])}


@pytest.mark.one_of(3)
@pytest.mark.parametrize("way", WAYS)
def test_children_are_told_of_whoever_starts_them(way: str, tmp_path: Path) -> None:
    """Pools, executors, loaders and spawns begin children the same way, and so are seen."""
    value, printed, said, status = recorded(tmp_path, WAYS[way])

    assert status == 0
    assert printed in {"[0, 'raised']\n", "['0', 'raised']\n", "end\n"}
    assert loud(value) == [("saved-tensor-modified", RAISES - 1)]
    assert "Traceback" not in said


def test_children_are_left_alone_where_that_is_asked_for(tmp_path: Path) -> None:
    """`--no-children` records the script only."""
    value, printed, _, status = recorded(tmp_path, WAYS["a pool"], "--no-children")

    assert (printed, status) == ("[0, 'raised']\n", 0)
    assert "processes" not in value
    assert value["diagnoses"] == []


def test_a_launcher_below_us_has_its_ranks_recorded(tmp_path: Path) -> None:
    """`inplace run -m torch.distributed.run` leaves the files of the ranks, and one that joins them."""
    path = next(path for path in CASES if path.stem == "bug6_one_rank_raises")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", path]

    ours = started(tmp_path, "-m", "inplace", "run", "--json", "out.json", *launch)

    assert ours.returncode == 1
    assert {one.name for one in tmp_path.glob("*.json")} == {"out.json", "out.rank0.json", "out.rank1.json"}
    value = json.loads((tmp_path / "out.json").read_text())
    jsonschema.validate(value, SCHEMA)
    loud = [one for one in value["diagnoses"] if one["severity"] != "info"]
    assert [(one["kind"], one["ranks"]) for one in loud] == [("saved-tensor-modified", [1])]
    assert [one["follows"] for one in value["processes"]] == [1, None]
    assert "saved-tensor-modified [rank 1]: line 17" in ours.stderr


def test_a_module_runs_as_python_runs_it(tmp_path: Path) -> None:
    """`-m` gives it the name, the package, the arguments and the first folder that Python gives it."""
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "train.py").write_text(
        "import sys\nfrom . import __name__ as mine\n"
        "print(__name__, __package__, __spec__.name, mine, sys.argv, sys.path[0])\n"
    )

    plain = started(tmp_path, "-m", "mine.train", "--lr", "1")
    ours = started(tmp_path, "-m", "inplace", "run", "--quiet", "-m", "mine.train", "--lr", "1")

    assert (ours.stdout, ours.stderr, ours.returncode) == (plain.stdout, plain.stderr, plain.returncode)


def test_a_forked_child_of_a_recording_may_record(tmp_path: Path) -> None:
    """The recording that goes on is its parent's; one of its own begins and ends there."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, torch, inplace\nwith inplace.record() as outer:\n    if os.fork() == 0:\n"
        "        with inplace.record() as inner:\n            torch.ones(2).add_(1)\n"
        "        print(len(inner.trace.calls), flush=True)\n        os._exit(0)\n    os.wait()\n    torch.ones(1)\n"
        "print(len(outer.trace.calls))\n"
    )

    ours = started(tmp_path, script)

    assert ours.stdout == "2\n1\n"


OWN = """
    import inplace
    import multiprocessing
    def child(queue):
        with inplace.record() as inner:
            torch.ones(2).add_(1)
        queue.put(len(inner.trace.calls))
    torch.ones(1)
    with inplace.record() as outer:
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()
        process = context.Process(target=child, args=(queue,))
        process.start()
        print(queue.get())
        process.join()
        torch.ones(1)
    print(len(outer.trace.calls))
"""


def test_a_script_may_record_itself(tmp_path: Path) -> None:
    """Its own recordings, and those of its children, are as without us; ours ends there, and says so."""
    value, printed, said, status = recorded(tmp_path, OWN)

    assert (printed, status) == ("2\n1\n", 0)
    assert "Traceback" not in said
    assert "`inplace.record`) began on line" in value["reason"]
    assert not value["complete"]


DYING = """
    import multiprocessing, os, signal
    def dies(how):
        tried(1)
        if how == "raises":
            raise KeyError(how)
        os._exit(3) if how == "leaves" else os.kill(os.getpid(), signal.SIGKILL)
    context = multiprocessing.get_context("fork")
    made = [context.Process(target=dies, args=(how,)) for how in ("raises", "leaves", "is killed")]
    for one in made:
        one.start()
    for one in made:
        one.join()
    print([one.exitcode for one in made])
"""


def test_children_that_die_keep_nobody_waiting(tmp_path: Path) -> None:
    """One that raises leaves its report; of one that leaves or is killed there is none, and nothing waits for it."""
    value, printed, said, status = recorded(tmp_path, DYING)

    assert (printed, status) == ("[1, 3, -9]\n", 0)
    assert loud(value) == [("saved-tensor-modified", RAISES - 1)]
    assert [one["error"]["type"] for one in value["processes"] if one["error"]] == ["KeyError"]
    assert said.count("KeyError") >= 1
