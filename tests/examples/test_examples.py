"""The worked examples: all there, each does what it says, and `%inplace example` finds them."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import warnings
from dataclasses import FrozenInstanceError

import pytest
import torch

import inplace
from inplace.checks.kinds import KINDS
from inplace.examples import ALL, SOURCES, Example, find
from inplace.render.words.telling import _words_of
from tests.test_magic import Shell, fresh_shell

IDS = [f"E{number:02}" for number in range(1, 67)]
TOPICS = {
    "basics": [f"E{number:02}" for number in (*range(1, 11), 29, 30, 38, 43, 50, 64)],
    "leaves": ["E11", "E12", "E20", "E22", "E23", "E24", "E26", "E28", "E31", "E32", "E33", "E37", "E42", "E44"],
    "sharing": ["E15", "E16", "E21", "E36", "E39", "E40", "E46", "E48", "E62"],
    "graph": ["E13", "E14", "E17", "E18", "E25", "E34", "E35", "E41", "E47", "E49", "E61", "E63", "E65"],
    "memory": ["E19", "E27", "E45"],
    "gradients": ["E51", "E52", "E53", "E54", "E55", "E56", "E66"],
    "views": ["E57", "E58", "E59", "E60"],
}


shell = pytest.fixture(fresh_shell)


def test_every_row_is_there_once() -> None:
    """E01 to E66, each once and in order, under the topic it belongs to."""
    assert [example.id for example in ALL] == IDS
    assert {topic: [e.id for e in ALL if e.topic == topic] for topic in TOPICS} == TOPICS


def test_every_example_is_complete_and_short() -> None:
    """Nothing is empty, and the code is three to sixteen lines."""
    for example in ALL:
        assert all((example.title, example.claim, example.lesson, example.said_by)), example.id
        assert set(example.said_by) <= set(SOURCES), example.id
        assert example.verdict in {"right", "imprecise", "wrong", "measured"}, example.id
        assert 3 <= len(example.code.splitlines()) <= 16, example.id
        assert not re.search(r"rand|Linear", example.code) or "torch.manual_seed(0)" in example.code, example.id
        assert len(re.findall(r"\.(?: |$)", re.sub(r"`[^`]*`", "", example.lesson))) <= 3, example.id


def test_examples_do_not_change() -> None:
    """An example is a value."""
    with pytest.raises(FrozenInstanceError):
        ALL[0].verdict = "wrong"  # type: ignore[misc]


def ran(example: Example) -> tuple[list[str], str, int]:
    """What an example's code prints, the error that ends it, and the line that raised."""
    out, error, line = io.StringIO(), "", 0
    with contextlib.redirect_stdout(out), warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        try:
            exec(compile(example.code, example.id, "exec"), {"__name__": "example"})
        except Exception as fault:
            error, trace = f"{type(fault).__name__}: {fault}", fault.__traceback__
            while trace is not None:
                line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == example.id else line
                trace = trace.tb_next
    return out.getvalue().splitlines(), error, line


@pytest.mark.parametrize("example", ALL, ids=IDS)
def test_the_code_does_what_its_comments_say(example: Example) -> None:
    """It prints what stands after each print, and raises where it says so, or not at all."""
    printed, error, line = ran(example)
    lines = example.code.splitlines()
    raising = [number for number, text in enumerate(lines, 1) if "# raises " in text]
    if example.id == "E27":  # prints times
        assert len(printed) == 8
        assert printed[0].startswith("relu     10 rows:    10240 new bytes, ")
        assert printed[1].startswith("relu_    10 rows:        0 new bytes, ")
    elif example.id == "E45":  # prints times
        assert [text.partition(": ")[0] for text in printed[:2]] == [
            "mul  of      10 elements",
            "mul_ of      10 elements",
        ]
    else:
        assert printed == [text.partition("  # ")[2] for text in lines if text.lstrip().startswith("print(")]
    if raising:
        kind, _, part = lines[raising[0] - 1].partition("# raises ")[2].partition(": ")
        assert error.startswith(f"{kind}: ")
        assert part in error
        assert [line] == raising
    else:
        assert error == ""


def test_the_findings_point_to_examples_that_exist() -> None:
    """Every kind of finding names an example, and that example is there."""
    assert {_words_of(kind.finding.kind).example for kind in KINDS} <= set(IDS)


@pytest.mark.parametrize("kind", [kind.finding.kind for kind in KINDS])
def test_the_example_of_a_kind_has_a_finding_of_that_kind(kind: str, shell: Shell) -> None:
    """What a finding offers as its worked example shows that very kind when it is recorded."""
    (example,) = find(_words_of(kind).example)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shell.run(f"%%inplace --quiet\n{example.code}")
    assert kind in {finding.kind for finding in inplace.last.report.findings}


@pytest.mark.parametrize(
    ("word", "ids"),
    [
        ("E23", ["E23"]),
        (" e23 ", ["E23"]),
        ("Sharing", TOPICS["sharing"]),
        ("clone", ["E16"]),
        ("relu_", ["E25"]),
        ("LEAF", ["E11", "E12", "E22", "E23", "E31", "E32", "E42", "E57"]),
        ("underscore", ["E38"]),
        ("mask", ["E48"]),
        ("second time", ["E51"]),
        ("Trying to backward through the graph a second time (or directly access saved tensors after", ["E51"]),
        ("view size is not compatible with input tensor's size and stride", ["E60"]),
        ("modified by an inplace", ["E13", "E25", "E26"]),
        ("torch.where", ["E56"]),
        ("full_like()", []),
        ("zeros_like()", ["E10"]),
        ("E99", []),
        ("", []),
        ("clo", []),
    ],
)
def test_find_by_id_topic_or_word(word: str, ids: list[str]) -> None:
    """An id or topic in any case, else a whole word of the title."""
    assert [example.id for example in find(word)] == ids


def test_the_examples_need_no_torch() -> None:
    """Listing them is cheap: the data is read without PyTorch."""
    code = "import sys, inplace.examples.answer as a; a.example(''); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_list_of_examples(shell: Shell) -> None:
    """`%inplace example` lists all titles and leaves the next cell alone."""
    (note,) = shell.run("%inplace example").notes
    assert [line.split(" ", maxsplit=1)[0] for line in note.splitlines()] == IDS
    assert "E16 clone makes a copy" in note
    assert shell.ip.rl_next_input is None


def test_an_example_goes_into_the_next_cell(shell: Shell) -> None:
    """`%inplace example e16` puts the code below %%inplace, and says the lesson; run, it is recorded."""
    (note,) = shell.run("%inplace example e16").notes
    example = find("E16")[0]
    assert note == f"inplace: E16 {example.title}. {example.lesson}"
    assert shell.ip.rl_next_input == f"%%inplace\n{example.code.rstrip()}"
    shell.run(shell.ip.rl_next_input)
    assert str(inplace.last) == "5 calls, 1 in place: nothing wrong"


@pytest.mark.parametrize("example", ALL, ids=IDS)
def test_every_example_can_be_recorded(shell: Shell, example: Example) -> None:
    """Below %%inplace an example ends as it does without, and the picture is complete."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = shell.run(f"%%inplace\n{example.code}")
    assert (got.result.error_in_exec is not None) == ("# raises" in example.code)
    assert len(got.notes) == 1
    assert "fault of ours" not in got.notes[0]


def test_a_topic_gives_its_first_example_and_names_the_others(shell: Shell) -> None:
    """`%inplace example sharing` opens the first and lists the rest."""
    (note,) = shell.run("%inplace example sharing").notes
    assert note.startswith("inplace: E15 a second name is no copy.")
    assert [line[:3] for line in note.splitlines()[1:]] == ["See", *TOPICS["sharing"][1:]]
    assert shell.ip.rl_next_input.startswith("%%inplace\nimport torch\n")


def test_an_example_that_is_not_there(shell: Shell) -> None:
    """An unknown word is answered with what to type, and the next cell stays empty."""
    sentence = (
        "inplace: there is no example for 'E99': type %inplace example for the list, "
        "or put after it an id such as E23, a function such as clone, a few words of an error, or one of these topics: "
        "basics, gradients, graph, leaves, memory, sharing, views."
    )
    assert shell.run("%inplace example E99").notes == [sentence]
    assert shell.run("%inplace claims E11 E99").notes == [sentence]
    assert shell.ip.rl_next_input is None


def test_words_together_find_before_each_alone(shell: Shell) -> None:
    """`%inplace example second time` is one thing that is looked for, and an error's text may be pasted."""
    assert shell.run("%inplace example second time").notes[0].startswith("inplace: E51 ")
    text = "RuntimeError: Trying to backward through the graph a second time (or directly access saved tensors)"
    assert shell.run(f"%inplace example {text}").notes[0].startswith("inplace: E51 ")


def test_an_error_without_an_example_is_told(shell: Shell) -> None:
    """A text of PyTorch's that no example raises is answered with what it means and what to do."""
    (note,) = shell.run("%inplace example Can't call apply_() on Variable that requires grad").notes
    assert note.startswith("inplace: Autograd can't record what a Python function does to each element.")
