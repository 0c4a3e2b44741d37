"""What one process writes into memory of another is told at its own line, whoever started it and however it writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from inplace.facts.codec import dump, from_json, to_json
from inplace.facts.model import Process, Trace
from inplace.fixes.diagnose import analyze
from inplace.reading.ranks.written_elsewhere import told_of_each_other
from inplace.render.words.contract import diagnoses
from tests.commands import POSIX
from tests.ranks.test_command import SCHEMA, started
from tests.recording import record_text

STYLES = Path(__file__).parent / "shared_styles.py"
TOLD = {number for number, line in enumerate(STYLES.read_text().splitlines(), 1) if line.endswith("# told")}
pytestmark = POSIX


def loud(value: dict[str, Any]) -> list[tuple[str, int, str]]:
    """The kinds, first lines and names of what is an error or a warning."""
    found = [one for one in value["diagnoses"] if one["severity"] != "info"]
    return [(one["kind"], one["culprits"][0]["line"], one["message"].partition("\n")[2]) for one in found]


def ran(folder: Path, *arguments: str) -> dict[str, Any]:
    """The report of styles and their children."""
    ours = started(folder, "-m", "inplace", "run", "--quiet", "--json", "out.json", STYLES, *arguments)
    assert (ours.returncode, ours.stdout, ours.stderr) == (0, "", "")
    value: dict[str, Any] = json.loads((folder / "out.json").read_text())
    jsonschema.validate(value, SCHEMA)
    return value


def test_a_write_of_a_forked_child_is_told_at_its_line(tmp_path: Path) -> None:
    """Every style is told, at the line of the child, and none of the sound twins."""
    value = ran(tmp_path)

    found = loud(value)
    assert {(kind, line) for kind, line, _ in found} == {("silent-corruption", line) for line in TOLD}
    assert all("It was written by process" in why for _, _, why in found)


@pytest.mark.whole
def test_a_write_of_a_spawned_child_is_told_at_its_line(tmp_path: Path) -> None:
    """However the child came by the memory, it is known to be the same."""
    value = ran(tmp_path, "spawn", "hogwild", "a_queue", "a_process_and_a_copy")

    lines = [line for _, line, _ in loud(value)]
    texts = STYLES.read_text().splitlines()
    assert sorted(texts[line - 1].strip() for line in lines) == ["optimizer.step()  # told", "shared.fill_(7)  # told"]


# ------------------------------------------------------------ traces told of each other


class Memory:
    """A shared tensor, and what writes it where no recording sees it: its own array, which was taken before."""

    def __init__(self) -> None:
        self.shared = torch.arange(4.0).share_memory_()
        self._array = self.shared.numpy()

    def poke(self, *places: int) -> None:
        """Change some elements, as another process would."""
        for place in places:
            self._array[place] += 100

    def victim(self, part: str, *places: int, pid: int = 1, between: str = "") -> Trace:
        """A process that has saved a part of the memory, some elements of which then change."""
        text = f"x = torch.ones(1, requires_grad=True)\ny = (x * shared{part}).sum()\n{between}\npoke()\ny.backward()"
        run = record_text(text, shared=self.shared, poke=lambda: self.poke(*places))
        return replace(run.trace, process=process(pid))

    def writer(self, text: str, pid: int = 2, host: str = "here") -> Trace:
        """A process that writes."""
        return replace(record_text(text, shared=self.shared).trace, process=process(pid, host))


def process(pid: int, host: str = "here") -> Process:
    """A child."""
    return Process(None, None, None, host, pid, "fork", 1)


def told(*traces: Trace) -> list[tuple[str, str, str]]:
    """What is found in the first of some traces: how loud, the culprits' code, and the sentences."""
    first = told_of_each_other(traces)[0]
    assert told_of_each_other([first, *traces[1:]])[0] == first
    assert from_json(to_json(first)) == first
    found = diagnoses(analyze(first))["diagnoses"]
    return [
        (one["severity"], " and ".join(place["code"] for place in one["culprits"]), one["message"])
        for one in found
        if one["kind"] == "silent-corruption"
    ]


@pytest.fixture
def memory() -> Memory:
    """Memory that several processes have."""
    return Memory()


def test_the_line_of_the_writer_is_put_in_the_place_of_the_one_that_noticed(memory: Memory) -> None:
    """It is known by the bytes: a call of the other process that wrote those."""
    [(severity, culprits, message)] = told(memory.victim("", 0), memory.writer("shared[0].add_(100)\nshared[1:].sum()"))

    assert (severity, culprits) == ("warning", "shared[0].add_(100)")
    assert "changed shared in another process, which shares its memory, after line 2 saved it" in message
    assert "It was written by process 2. " in message


def test_traces_are_told_of_each_other_when_they_are_merged(memory: Memory, tmp_path: Path) -> None:
    """`inplace merge` finds the line of the writer, too; of reports without traces it is not known."""
    traces = memory.victim("", 0), memory.writer("shared[0].add_(100)")
    for number, trace in enumerate(traces):
        dump(trace, tmp_path / f"{number}.trace")

    ours = started(tmp_path, "-m", "inplace", "merge", "0.trace", "1.trace", "--json", "all.json")

    value = json.loads((tmp_path / "all.json").read_text())
    jsonschema.validate(value, SCHEMA)
    assert [(line, why.partition(".")[0]) for _, line, why in loud(value)] == [(1, "It was written by process 2")]
    assert "silent-corruption [pid 1]" in ours.stdout


def test_who_wrote_other_bytes_is_not_named(memory: Memory) -> None:
    """Of two lines that wrote the memory only the one is named that wrote what changed."""
    writer = memory.writer("shared[2:].mul_(2)\nshared[:2].add_(1)")

    [(_, culprits, _)] = told(memory.victim("", 1), writer)

    assert culprits == "shared[:2].add_(1)"


def test_what_was_written_before_the_memory_was_shared_is_not_meant() -> None:
    """A tensor that is filled and then moved into shared memory is the same tensor, and its filling told nobody."""
    given = torch.arange(4.0)
    run = record_text("given.mul_(2)\ngiven.share_memory_()\ngiven.sum()", given=given)
    writer = replace(run.trace, process=process(2))
    array = given.numpy()
    text = "x = torch.ones(1, requires_grad=True)\ny = (x * given).sum()\npoke()\ny.backward()"
    victim = replace(record_text(text, given=given, poke=lambda: array.__iadd__(1)).trace, process=process(1))

    [(_, _, message)] = told(victim, writer)

    assert "Also process 2 can write it, but no call recorded there did." in message


def test_two_processes_may_have_written(memory: Memory) -> None:
    """Each line that wrote what changed is named, and each process."""
    writers = memory.writer("shared.add_(1)", pid=2), memory.writer("shared.mul_(1)", pid=3)

    [(_, culprits, message)] = told(memory.victim("", 1), *writers)

    assert culprits == "shared.add_(1) and shared.mul_(1)"
    assert "It was written by processes 2, 3." in message


@pytest.mark.parametrize(
    ("others", "who"),
    [
        ("shared.sum()", "Also process 2 can write it, but no call recorded there did."),
        ("shared[3].zero_()", "Also process 2 can write it, but no call recorded there did."),
        ("", "Another process, or code outside PyTorch, wrote it; no recorded call did."),
    ],
)
def test_that_nobody_is_known_to_have_written_is_said(others: str, who: str, memory: Memory) -> None:
    """No line is accused: what ran meanwhile is said to have run, and who else has the bytes."""
    victim = memory.victim("", 0)

    [(_, _, message)] = told(victim, *([memory.writer(others)] if others else []))

    assert message.startswith("shared changed in shared memory while")
    assert " ran, after line 2 saved it" in message
    assert who in message


def test_memory_of_another_machine_is_another_one(memory: Memory) -> None:
    """Two machines may call their memory the same."""
    [(_, _, message)] = told(memory.victim("", 0), memory.writer("shared.add_(1)", host="there"))

    assert "wrote it; no recorded call did" in message


def test_an_array_of_this_process_stays_suspected(memory: Memory) -> None:
    """Where this process has handed out the bytes, its own line may have written them, and is named too."""
    victim = memory.victim("", 0, between="array = shared.numpy()")

    [(_, culprits, message)] = told(victim, memory.writer("shared.add_(1)"))

    assert culprits.endswith("poke() and shared.add_(1)")
    assert "from outside PyTorch (numpy, dlpack, shared memory)" in message


@pytest.mark.parametrize(("steps", "severity"), [(True, "info"), (False, "warning")])
def test_processes_that_train_the_same_weights_mean_to(steps: bool, severity: str) -> None:  # noqa: FBT001
    """Where each steps the same parameters (Hogwild) that is said, and is no warning; a write of another kind is."""
    w = torch.nn.Parameter(torch.ones(4).share_memory_())
    array = w.detach().numpy()
    optimizer = torch.optim.SGD([w], lr=0.1)
    given = {"w": w, "poke": lambda: array.__iadd__(1), "optimizer": optimizer}
    text = "w.grad = None\ny = (w * w).sum()\npoke()\ny.backward()\noptimizer.step()"
    victim = replace(record_text(text, **given).trace, process=process(1))
    other = "optimizer.step()" if steps else "with torch.no_grad():\n    w.fill_(3)"
    writer = replace(record_text(other, **given).trace, process=process(2))

    found = told(victim, writer)

    assert {one for one, _, _ in found} == {severity}
