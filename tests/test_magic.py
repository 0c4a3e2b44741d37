"""`%%inplace` in a real IPython shell and kernel: the cell does what it does without it, and we say our piece."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

import inplace
from inplace.capture.record import Recorder
from inplace.shells.environment import STATIC

CELL = """a = torch.tensor([1., 2., 3.]); b = a; c = a[1:]
a.add_(10)
x = torch.randn(3, requires_grad=True)
h = torch.sigmoid(x)
g = h.relu_()
g.sum().backward()
"""
EMPTY = "inplace: this cell made no call that is recorded, so there is nothing to show."

VIEW = "application/vnd.jupyter.widget-view+json"
FAULT = (
    "inplace: the picture is missing or incomplete because of a fault of ours (LookupError: oh). "
    "Your cell ran as it does without us; please report it."
)


@dataclass
class Ran:
    """What one cell did."""

    stdout: str
    shown: list[dict[str, Any]]
    result: Any

    @property
    def notes(self) -> list[str]:
        """The text of everything that was displayed."""
        return [data["text/plain"] for data in self.shown]


class Shell:
    """A fresh IPython whose displays are kept."""

    def __init__(self) -> None:
        InteractiveShell.clear_instance()
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "NoColor" if not hasattr(InteractiveShell, "xmode") else "nocolor"
        self.ip = InteractiveShell.instance(config=config)
        self.ip.display_pub = CapturingDisplayPublisher(parent=self.ip)
        self.run("import torch\ntorch.manual_seed(0)\nimport inplace\n%load_ext inplace")

    def run(self, cell: str) -> Ran:
        """Run a cell as a user does."""
        self.ip.display_pub.outputs.clear()
        with capture_output(display=False) as captured:
            result = self.ip.run_cell(cell, store_history=True)
        text = captured.stdout + captured.stderr
        return Ran(text, [output["data"] for output in self.ip.display_pub.outputs], result)


def fresh_shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A fresh shell, for a fixture."""
    monkeypatch.setattr("inplace.shells.last._LAST", [None])
    kept = sys.excepthook
    made = Shell()
    made.ip.rl_next_input = None
    yield made
    inplace.unload_ipython_extension(InteractiveShell.instance())
    InteractiveShell.clear_instance()
    sys.excepthook = kept


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Shell]]:
    """Fresh shells, one after the other."""
    monkeypatch.setattr("inplace.shells.last._LAST", [None])
    monkeypatch.delenv(STATIC, raising=False)
    kept = sys.excepthook
    yield Shell
    if InteractiveShell.initialized():
        inplace.unload_ipython_extension(InteractiveShell.instance())
    InteractiveShell.clear_instance()
    sys.excepthook = kept
    assert Recorder._current is None


@pytest.fixture
def shell(make: Callable[[], Shell]) -> Shell:
    """A fresh shell."""
    return make()


def _same_time(text: str) -> str:
    text = re.sub(r"(CPU times|Wall time).*", r"\1", text)
    return re.sub(r"0x[0-9a-f]+", "0x", text)


CELLS = {
    "expression": "1 + 1",
    "tensor": "torch.ones(2).add_(1)",
    "semicolon": "torch.ones(2);",
    "printing": "t = torch.ones(2)\nprint(t)\nt.mul_(2)\nt",
    "underscore": "(_, __)",
    "await": "import asyncio\nawait asyncio.sleep(0)\nt = torch.ones(1)\nt.add_(1)",
    "shell command": "out = !echo hello\nprint(out)\n!echo again",
    "line magic": "%pwd\nx = %pwd\nlen(x) > 0",
    "help": "torch.ones?",
    "error": "t = torch.ones(2)\nt.add_(1)\nt.frob()",
    "backward": CELL,
    "error in a function": "def f(t):\n    return t.view(7)\nt = torch.ones(2)\nf(t)",
    "error in a cause": (
        "x = torch.zeros(1, requires_grad=True)\n"
        "try:\n    x.add_(1)\nexcept RuntimeError as e:\n    raise ValueError('no') from e"
    ),
    "error in torch's own code": "torch.nn.Linear(2, 3)(torch.ones(1, 5))",
    "syntax error": "t = torch.ones(2)\nt = = 2",
    "indentation error": "if True:\nx = 1",
    "bad token": "x = 'abc\ny = 2",
    "interrupt": "t = torch.ones(2)\nt.add_(1)\nraise KeyboardInterrupt",
    "exit": "t = torch.ones(2)\nraise SystemExit(3)",
    "class and future": "from __future__ import annotations\nclass A:\n    x: B\nA.__annotations__",
    "unknown magic": "%nosuchmagic\n1",
    "exec": "exec('t = torch.ones(1)\\nt.add_(1)')\nt",
    "no tensors": "sum(range(10))",
}
TIMED = {
    "time": "%%time\nt = torch.ones(2)\nt.add_(1)\nt",
    "time error": "%%time\nt = torch.ones(2)\nt.frob()",
    "capture": "%%capture z\nt = torch.ones(2)\nprint(t.add_(1))",
    "unknown": "%%nosuch\nx",
}


def _without_first(text: str) -> str:
    """A traceback without the first line of the cell, which is all that may differ."""
    return re.sub(r"(?m)^ *1( # the line above| *)\n", "", text)


def _outcome(shell: Shell, cell: str) -> tuple[Any, ...]:
    shell.run("torch.manual_seed(1); 'before'")
    before = {k: repr(v) for k, v in shell.ip.user_ns["Out"].items()}
    ran = shell.run(cell)
    error = ran.result.error_in_exec or ran.result.error_before_exec
    stored = (
        [] if error is None else [(f.filename, f.lineno, f.name) for f in traceback.extract_tb(error.__traceback__)]
    )
    after = {k: repr(v) for k, v in shell.ip.user_ns["Out"].items()}
    return (
        re.sub(r"<ipython-input-(\d+)-\w+>", r"<\1>", _same_time(ran.stdout)),
        [(Path(name).name if not name.startswith("<ipython") else "cell", *rest) for name, *rest in stored],
        type(error),
        str(error).partition("(<ipython")[0],
        ran.result.execution_count,
        ran.result.success,
        repr(ran.result.result),
        after.keys() - before.keys(),
        after,
        [repr(shell.ip.user_ns.get(name)) for name in ("_", "__", "___")],
    )


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_does_what_it_does_without_the_magic(make: Callable[[], Shell], name: str) -> None:
    """Output, `Out`, `_`, counts, errors and tracebacks are those of the cell with a comment in the magic's place."""
    plain = _outcome(make(), "# the line above\n" + CELLS[name])
    magic = _outcome(make(), "%%inplace\n" + CELLS[name])
    assert (_without_first(magic[0]), *magic[1:]) == (_without_first(plain[0]), *plain[1:])


@pytest.mark.parametrize("name", TIMED)
def test_another_cell_magic_follows(make: Callable[[], Shell], name: str) -> None:
    """`%%inplace` above another cell magic changes nothing about it."""
    assert _outcome(make(), "%%inplace\n" + TIMED[name]) == _outcome(make(), TIMED[name])


@pytest.mark.parametrize("name", [*CELLS, *TIMED])
def test_every_cell_does_what_it_does_without(make: Callable[[], Shell], name: str) -> None:
    """Nor does `%inplace on` change any cell."""
    cell = {**CELLS, **TIMED}[name]
    plain = make()
    plain.run("pass")
    expected = _outcome(plain, cell)
    shell = make()
    shell.run("%inplace on")
    assert _outcome(shell, cell) == expected


# ------------------------------------------------------------ what is shown


def test_the_culprit_and_its_line_are_shown(shell: Shell) -> None:
    """The finding names the line as the user counts it in the cell."""
    ran = shell.run("%%inplace\n" + CELL)
    (data,) = ran.shown
    assert "relu_" in data["text/plain"]
    assert "sigmoid" in data["text/plain"]
    (culprit, *_) = inplace.last.report.findings[0].culprits
    assert (culprit.label, culprit.position.line, culprit.code) == ("In[2]", 6, "h.relu_()")


def test_the_same_cell_again_has_a_number_of_its_own(shell: Shell) -> None:
    """A cell that is run twice in a row is named after the second run."""
    for number in (2, 3, 4):
        shell.run("%%inplace\n" + CELL)
        assert inplace.last.trace.title == f"In[{number}]"


def test_below_time_the_lines_are_those_below_it(shell: Shell) -> None:
    """IPython keeps no source of what `%%time` runs; we show it nevertheless."""
    shell.run("%%inplace\n%%time\n" + CELL)
    (culprit, *_) = inplace.last.report.findings[0].culprits
    assert (culprit.label, culprit.position.line, culprit.code) == ("In[2] below %%time", 5, "h.relu_()")


@pytest.mark.parametrize("above", ["%%time", "%%capture z"])
def test_it_may_stand_below_another_magic(shell: Shell, above: str) -> None:
    """The order of the magics does not matter."""
    ran = shell.run(f"{above}\n%%inplace\n{CELL}")
    assert inplace.last.report.findings[0].culprits[0].code == "h.relu_()"
    assert "relu_" in ran.notes[-1]
    assert "already" not in "".join(ran.notes)


def test_a_function_of_an_earlier_cell_has_that_cell_s_label(shell: Shell) -> None:
    """Earlier cells are called by their own number."""
    shell.run("def spoil(h):\n    return h.relu_()")
    shell.run("%%inplace\nx = torch.zeros(3, requires_grad=True)\nh = torch.sigmoid(x)\nspoil(h)\nh.sum().backward()")
    labels = {source.label for source in inplace.last.trace.sources}
    assert {"In[2]", "In[3]"} <= labels


@pytest.mark.parametrize("cell", ["%%inplace", "%%inplace\n", "%%inplace\n\n  \n", "%%inplace\nx = 1"])
def test_a_cell_without_tensors_gets_one_quiet_line(shell: Shell, cell: str) -> None:
    """Cells without tensors, empty ones too, get a note and no picture."""
    ran = shell.run(cell)
    assert (ran.notes, ran.stdout) == ([EMPTY], "")


@pytest.mark.parametrize("above", ["", "%%inplace\n"])
def test_a_cell_that_is_refused_without_a_call_is_told(shell: Shell, above: str) -> None:
    """What an optimizer refuses comes of earlier cells; other errors of such a cell are no matter of ours."""
    shell.run("%inplace on")
    shell.run("w = torch.ones(3, requires_grad=True)")
    shell.run("w = w.double()")
    assert shell.run(f"{above}optimizer = torch.optim.SGD([nobody], lr=0.1)").notes == []
    refused = shell.run(f"{above}optimizer = torch.optim.SGD([w], lr=0.1)")
    assert "makes w the name of a result" in refused.notes[-1]
    assert shell.run(f"{above}nobody").notes == []


def test_a_syntax_error_gets_nothing_from_us(shell: Shell) -> None:
    """What never ran was never recorded, and the next cell is."""
    assert shell.run("%%inplace\nt = = 1").shown == []
    assert shell.run("%%inplace\nt = torch.ones(1)").notes != []


def test_quiet_shows_nothing_and_keeps_the_recording(shell: Shell) -> None:
    """`--quiet` records without a display."""
    assert shell.run("%%inplace --quiet\n" + CELL).shown == []
    assert inplace.last.report.findings


def test_an_unknown_option_is_named_and_the_cell_runs(shell: Shell) -> None:
    """A slip in the options costs a sentence, not the cell."""
    ran = shell.run("%%inplace --frobnicate\ny = torch.ones(1).add_(1)")
    assert ran.notes[0].startswith("inplace: %%inplace does not know '--frobnicate'; its options are --quiet, --advise")
    assert shell.ip.user_ns["y"].item() == 2


@pytest.mark.parametrize("word", ["loud", "--adv", "--quiet=yes", "-q"])
def test_what_is_no_option_is_named_and_the_others_hold(shell: Shell, word: str) -> None:
    """A word, a part of an option and a value are not guessed at; the options beside them count."""
    ran = shell.run(f"%%inplace {word} --quiet\ntorch.ones(1).add_(1);")
    (note,) = ran.notes
    assert note.startswith(f"inplace: %%inplace does not know {word!r}; its options are")
    assert note.endswith("The cell runs all the same.")
    assert len(inplace.last.trace.calls) == 2


def test_twice_above_a_cell_is_one_sentence(shell: Shell) -> None:
    """Two of our lines count as one, and lines keep their numbers."""
    ran = shell.run("%%inplace\n%%inplace\ny = 1 / 0")
    assert ran.notes == ["inplace: %%inplace stands more than once above this cell; once is enough."]
    assert "----> 3 y = 1 / 0" in ran.stdout


@pytest.mark.parametrize("inner", ["run_cell('%%inplace\\ny.add_(1)')", "run_cell_magic('inplace', '', 'y.add_(1)')"])
def test_nested_is_one_sentence_and_the_code_runs(shell: Shell, inner: str) -> None:
    """A `%%inplace` inside a recorded cell runs its code as part of it."""
    ran = shell.run(f"%%inplace\ny = torch.zeros(1)\nget_ipython().{inner}\ny.mul_(2);")
    assert ran.notes[0].startswith("inplace: this cell is being recorded already")
    assert len(ran.notes) == 2
    assert shell.ip.user_ns["y"].item() == 2


def test_the_magic_itself_can_be_called(shell: Shell) -> None:
    """`run_cell_magic` records too."""
    ran = shell.run(f"get_ipython().run_cell_magic('inplace', '', {CELL!r})")
    assert "relu_" in ran.notes[-1]


def test_help_tells_what_it_does(shell: Shell) -> None:
    """`%%inplace?` and `%inplace?` explain themselves, options included."""
    told = str(shell.ip.object_inspect("%%inplace")["docstring"])
    assert "%%inplace [--quiet] [--advise] [--strict] [--verify] [--gradients]" in told
    assert "Record this cell" in told
    assert "--quiet show nothing; the recording is `inplace.last`, and `%inplace why`" in re.sub(r"\s+", " ", told)
    assert "inplace on" in str(shell.ip.object_inspect("%inplace")["docstring"])
    assert shell.run("%%inplace?").result.success


@pytest.mark.parametrize("cell", ["", "\nx = 1", "\nx = 1\n"])
def test_the_terminal_waits_for_the_end_of_the_cell(shell: Shell, cell: str) -> None:
    """Typed in a terminal, a cell ends where that of any other cell magic ends."""
    expected = shell.ip.check_complete("%%time" + cell)
    assert shell.ip.check_complete("%%inplace" + cell) == expected


def test_static_outputs_number_no_cells(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With INPLACE_STATIC=1 nothing depends on how often the cell was run."""
    monkeypatch.setenv(STATIC, "1")
    shell.run("def spoil(h):\n    return h.relu_()")
    cell = "%%inplace\nx = torch.ones(3, requires_grad=True)\nh = torch.sigmoid(x)\nspoil(h)\nh.sum().backward()"
    first, second = shell.run(cell), shell.run(cell)
    assert first.notes == second.notes
    assert {source.label for source in inplace.last.trace.sources} == {"this cell", "an earlier cell"}


# ------------------------------------------------------------ the line magic


def test_on_records_every_cell_and_off_ends_it(shell: Shell) -> None:
    """Under `%inplace on` each cell that uses tensors is shown once, the others not at all."""
    assert shell.run("%inplace on").shown == []
    assert shell.run("x = 1").shown == []
    assert len(shell.run("y = torch.ones(1)\ny.add_(1);").shown) == 1
    assert len(shell.run("%%inplace\ny.add_(1);").shown) == 1
    assert shell.run("%inplace off").shown == []
    assert shell.run("y.add_(1);").shown == []


STALE = "w = torch.ones(4, requires_grad=True)\nh = torch.sigmoid(w)\nh.mul_(2)\nh.sum().backward()"
LONG = (
    "w = torch.ones(4, requires_grad=True)\nfor i in range(300):\n    h = torch.sigmoid(w * 2)\n"
    "    if i == 3:\n        h.data.mul_(2)\n    h.sum().backward()"
)


@pytest.mark.parametrize("said", ["light", "on --light"])
def test_light_records_every_cell_lightly(shell: Shell, said: str) -> None:
    """From now on; a cell with `%%inplace` above it is recorded as that says."""
    shell.run(f"%inplace {said}")

    lightly = shell.run(STALE)
    fully = shell.run(f"%%inplace\n{STALE}")
    shell.run("%inplace off")

    assert "Recorded lightly" in lightly.shown[0]["text/plain"]
    assert "saved-tensor-modified" in lightly.shown[0]["text/plain"]
    assert "Recorded lightly" not in fully.shown[0]["text/plain"]


@pytest.mark.parametrize("by_line", [True, False])
def test_a_cell_that_never_ends_is_let_go_of(shell: Shell, *, by_line: bool) -> None:
    """What an early window of it showed is told below it, and what was let go of; the next cell stands behind it."""
    shell.run("%inplace on --keep=1" if by_line else "pass")

    told = shell.run(LONG if by_line else f"%%inplace --keep=1\n{LONG}").shown[0]["text/plain"]
    after = shell.run("h.exp_();" if by_line else "%%inplace\nh.exp_();").shown[0]["text/plain"]

    assert "silent-corruption" in told
    assert "let go of: " in told
    assert len(inplace.last.trace.calls) < 10
    assert "let go of: " not in after
    shell.run("%inplace off")


def test_a_session_that_keeps_holds_as_much_after_many_cells(shell: Shell) -> None:
    """Of the runs before: as many calls, tensors, names and nodes behind the fortieth cell as behind the twentieth."""
    from inplace.shells.notebook.extension import _EXTENSIONS

    parts = ("calls", "states", "tensors", "storages", "names", "nodes", "walks", "acts", "runs", "sources", "sites")
    shell.run("%inplace on --keep=1")
    shell.run("net = torch.nn.Linear(3, 3); opt = torch.optim.Adam(net.parameters())")
    held = []
    for number in range(40):
        shell.run(
            "for _ in range(4):\n"
            "    opt.zero_grad(); loss = net(torch.randn(2, 3)).square().mean(); loss.backward(); opt.step()\n"
            f"# {number % 2}"
        )
        carried = _EXTENSIONS[shell.ip].session._carried
        assert carried is not None
        held.append({part: len(getattr(carried.trace, part)) for part in parts})

    assert held[39] == held[19]


def test_options_that_are_none_are_told_and_change_nothing(shell: Shell) -> None:
    """`%inplace on` names what it does not know; a cell runs all the same."""
    assert shell.run("%inplace on --kep").notes[0].startswith("inplace: %inplace on does not know '--kep'; its options")
    assert shell.run("%inplace on --keep=0").notes == [
        "inplace: --keep takes the megabytes of a window, 1 or more (64 where none are given), not '0'."
    ]
    assert shell.run("%inplace on --keep --advise").notes == [
        "inplace: --keep lets go of calls, and --advise needs all of them: leave one of the two out."
    ]
    assert shell.run("torch.ones(1).add_(1);").shown == []
    ran = shell.run("%%inplace --keep=few\ntorch.ones(1).add_(1);")
    assert ran.notes[0].startswith("inplace: --keep takes the megabytes of a window")
    assert ran.notes[0].endswith("The cell runs all the same.")
    assert ran.shown[-1]["text/plain"].startswith("2 calls, 1 in place")


UNRECORDED = """def step(x):
    h = torch.sigmoid(x)
    {alias}h.relu_()
    h.sum().backward()
x = torch.randn(3, requires_grad=True)
step(x)"""


def test_why_runs_the_session_again_where_nothing_was_recorded(shell: Shell) -> None:
    """The cells run again, recorded, in a closed process; the same error came, and both lines are named."""
    shell.run("x = torch.randn(3, requires_grad=True)\nh = torch.sigmoid(x)")
    shell.run("h.mul_(2);")
    shell.run("h.sum().backward()")

    (told,) = shell.run("%inplace why").notes

    assert told.startswith("inplace: In[1] to In[4] ran again, recorded, in a closed process, and ended with the same")
    assert "saved-tensor-modified: In[3], line 1" in told
    assert "after In[2]," in told
    assert "type %inplace again 1-4" in told
    assert shell.ip.user_ns["x"].grad is None


def test_a_second_run_that_ends_otherwise_tells_nothing(shell: Shell, tmp_path: Path) -> None:
    """What would act on the world is refused, and then it is the live graph that tells what can be told."""
    shell.run(f"seen = open({str(tmp_path / 'made')!r}, 'x')")
    shell.run("x = torch.randn(3, requires_grad=True)\nh = torch.sigmoid(x)\nh.mul_(2)\nseen.name\nh.sum().backward()")

    (told,) = shell.run("%inplace why").notes

    assert "SigmoidBackward0 saved `result` (3), which was overwritten" in told
    assert "which may not do this" in told
    assert "the cells ended with NameError" in told


def test_again_puts_cells_into_the_next_one(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells that were run stand under `%%inplace`, without our own magics; what is no run is told."""
    given: list[str] = []
    monkeypatch.setattr(shell.ip, "set_next_input", lambda text, **_: given.append(text))
    shell.run("x = torch.ones(2)")
    shell.run("%%inplace --quiet\nx.add_(1)")

    assert shell.run("%inplace again 2-3").notes == []
    assert given == ["%%inplace\n\nx = torch.ones(2)\n\nx.add_(1)"]
    assert "there is no run 2-9 in this session" in shell.run("%inplace again 2-9").notes[0]
    assert "takes the number of a run" in shell.run("%inplace again").notes[0]


def test_cells_are_one_history(shell: Shell) -> None:
    """A cell warns of what it broke, a later one repeats it in a line, and the one that raises names both cells."""
    shell.run("%inplace on")
    shell.run("x = torch.randn(3, requires_grad=True)\nh = torch.sigmoid(x)")
    warned = shell.run("h.mul_(2);").notes[0]
    repeated = shell.run("y = x + 1").notes[0]
    raised = shell.run("h.sum().backward()").notes[0]

    assert "! saved-tensor-modified: line 1: h.mul_(2) changed h after In[3], line 2 saved it" in warned
    assert "note: Still so: In[4], line 1 has overwritten h" in repeated
    assert repeated.endswith("nothing new")
    assert "✗ saved-tensor-modified: In[4], line 1: h.mul_(2) changed h after In[3], line 2 saved" in raised


def test_a_fault_of_the_history_costs_only_the_history(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where runs can't be joined the cell is shown alone, and the history begins anew."""

    def fail(*_: object) -> None:
        raise LookupError("oh")

    shell.run("%inplace on")
    with monkeypatch.context() as broken:
        broken.setattr("inplace.capture.continued.kept", fail)
        notes = shell.run("x = torch.randn(3, requires_grad=True)\nh = torch.sigmoid(x)").notes
    assert any("LookupError: oh" in one for one in notes)
    assert any(one.endswith("nothing wrong") for one in notes)
    assert "changed h after an earlier line saved it" in shell.run("h.mul_(2);").notes[0]


def test_why_explains_a_cell_that_failed_without_a_recording(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The live graph, which the traceback keeps, tells the node, the names and how to learn the line."""
    monkeypatch.setattr("inplace.shells.notebook.played._LONGEST", -1.0)
    shell.run(UNRECORDED.format(alias="kept = "))

    told = shell.run("%inplace why").notes

    assert len(told) == 1
    assert "which is too long to run them again" in told[0]
    assert "SigmoidBackward0 saved `result` (3), which was overwritten: its version is 1 now." in told[0]
    assert "Its bytes are now reached as h, kept." in told[0]
    assert "put %%inplace above the cell" in told[0]
    assert shell.ip.user_ns["x"].grad is None


def test_why_says_so_where_the_graph_can_tell_nothing(shell: Shell) -> None:
    """An error of another kind, and one recorded since, are not explained from the graph."""
    shell.run("1 / 0")
    assert "ended with ZeroDivisionError, and was not recorded" in shell.run("%inplace why").notes[0]

    shell.run("%%inplace\ntorch.ones(1).add_(1)")
    assert "1 in place" in shell.run("%inplace why").notes[0]


def test_why_shows_the_last_recording_or_how_to_get_one(shell: Shell) -> None:
    """`%inplace why` shows the last recording, or says how to get one."""
    assert shell.run("%inplace why").notes == [
        "inplace: nothing has been recorded yet: put %%inplace above a cell, or type %inplace on, then run a cell."
    ]
    shell.run("%%inplace --quiet\n" + CELL)
    assert "relu_" in shell.run("%inplace why").notes[0]


@pytest.mark.parametrize("word", ["", "maybe", "on off"])
def test_another_word_is_answered(shell: Shell, word: str) -> None:
    """Anything else is answered with what there is."""
    (note,) = shell.run(f"%inplace {word}").notes
    assert note.startswith("inplace: %inplace takes one word: on")


# ------------------------------------------------------------ nothing is left behind


def test_loading_twice_shows_once_and_unloading_leaves_nothing(shell: Shell) -> None:
    """Loading is idempotent, unloading complete."""
    ip = shell.ip
    inplace.load_ipython_extension(ip)
    assert len(shell.run("%%inplace\nx = 1").shown) == 1
    shell.run("%reload_ext inplace")
    assert len(shell.run("%%inplace\nx = 1").shown) == 1
    assert ip.ast_transformers == []
    assert "showtraceback" not in vars(ip)
    shell.run("%unload_ext inplace")
    assert "inplace" not in {**ip.magics_manager.magics["cell"], **ip.magics_manager.magics["line"]}
    assert "inplace" not in repr(ip.input_transformers_cleanup) + repr(ip.events.callbacks)
    assert "UsageError" in shell.run("%%inplace\nx = 1").stdout


def test_unloading_within_the_recorded_cell(shell: Shell) -> None:
    """Even in mid-cell nothing stays behind."""
    ran = shell.run("%%inplace\nt = torch.ones(1)\n%unload_ext inplace\nt.add_(1)")
    assert ran.result.success
    assert Recorder._current is None
    assert "showtraceback" not in vars(shell.ip)


def test_a_recording_that_goes_on_already_is_left_alone(shell: Shell) -> None:
    """We don't record inside `inplace.record()`."""
    shell.run("r = inplace.record()\nr.__enter__()")
    ran = shell.run("%%inplace\nt = torch.ones(1)\nt.add_(1)")
    assert ran.notes[0].startswith("inplace: a recording is going on already")
    assert ran.result.success
    shell.run("r.__exit__(None, None, None)")


@pytest.mark.parametrize("method", ["start", "stop", "_prepare", "_finish"])
def test_a_fault_of_ours_is_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Whatever breaks in us, the cell's result stands."""
    from inplace.shells.notebook.session import Session

    kept = Recorder.stop

    def fail(self: Any, *args: Any) -> None:
        if isinstance(self, Recorder) and method == "stop":
            kept(self, *args)
        raise LookupError("oh")

    monkeypatch.setattr(Recorder if method in {"start", "stop"} else Session, method, fail)
    ran = shell.run("%%inplace\nt = torch.ones(1)\nt.add_(1)")
    assert ran.notes == [FAULT]
    assert ran.result.success
    assert shell.ip.user_ns["_"].item() == 2
    assert Recorder._current is None


def test_an_interrupt_during_the_report_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupting the report keeps the text, and leaves no mode on."""
    from inplace.shells.notebook import display

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(display, "forms", interrupted)
    ran = shell.run("%%inplace\nt = torch.ones(1)\nt.add_(1)")
    assert ran.notes == [
        "2 calls, 1 in place: nothing wrong",
        "inplace: the report was interrupted; %inplace why tries again.",
    ]
    assert torch.overrides._get_current_function_mode() is None


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ZeroDivisionError])
def test_a_proof_that_fails_keeps_the_text(
    fault: type[BaseException], shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found is shown, and why it was not proved."""

    def failing(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr("inplace.judge.judge.prove", failing)
    ran = shell.run(
        "%%inplace --verify\nw = torch.ones(3, requires_grad=True)\nh = w.sigmoid()\nh.mul_(2)\nh.sum().backward()"
    )

    assert "h.mul_(2) changed h after" in ran.notes[0]
    assert ("interrupted" if fault is KeyboardInterrupt else "ZeroDivisionError") in ran.notes[1]
    assert len(ran.notes) == 2


def test_autoreload_works_below_it(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules are reloaded before the recording begins, and their new code is recorded."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = tmp_path / "reloaded_by_inplace.py"
    module.write_text("import torch\none = torch.ones(1)\ndef f(t):\n    return t.add_(1)\n")
    shell.run("%load_ext autoreload\n%autoreload 2\nfrom reloaded_by_inplace import f")
    assert shell.run("%%inplace\nf(torch.zeros(1)).item()").result.result == 1
    module.write_text("import torch\none = torch.ones(1)\ndef f(t):\n    return t.add_(2).mul_(1)\n")
    assert shell.run("%%inplace\nf(torch.zeros(1)).item()").result.result == 2
    assert [call.function.name.rpartition(".")[2] for call in inplace.last.trace.calls] == [
        "zeros",
        "add_",
        "mul_",
        "item",
    ]


# ------------------------------------------------------------ a kernel

IN_A_KERNEL = {
    "what is displayed": "%%inplace\n" + CELL,
    "an awaited cell": "%%inplace\nimport asyncio\nt = torch.ones(1)\nawait asyncio.sleep(0)\nt.add_(1)",
    "an interrupt": "%%inplace\nt = torch.ones(1)\nt.add_(1)\nraise KeyboardInterrupt",
    "nothing": "%%inplace\n1 + 1",
    "below time": "%%inplace\n%%time\nt = torch.ones(1)\nt.add_(1)",
    "afterwards": "torch.overrides._get_current_function_mode()",
}


def test_a_form_that_cannot_be_made_leaves_the_others(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the picture fails, the text is shown, and one line tells of the fault."""

    def fail(explanation: object) -> dict[str, Any]:
        raise LookupError("oh")

    monkeypatch.setattr("inplace.shells.notebook.display.forms", lambda _: [fail, lambda _: {VIEW: "view"}])
    live, shown, note = shell.run("%%inplace\n" + CELL).shown
    assert live == {"text/plain": "inplace: 8 calls, 2 in place: 1 error", VIEW: "view"}
    assert "relu_" in shown["text/plain"]
    assert note == {"text/plain": FAULT}


@pytest.fixture(scope="module", params=["widget", "static"])
def ran_in_a_kernel(request: pytest.FixtureRequest) -> tuple[str, dict[str, list[Any]]]:
    """The outputs of `IN_A_KERNEL` in one real kernel, with and without the widget."""
    nbclient = pytest.importorskip("nbclient")
    from nbformat.v4 import new_code_cell, new_notebook

    first = "import torch, inplace\n%load_ext inplace"
    notebook = new_notebook(cells=[new_code_cell(source) for source in (first, *IN_A_KERNEL.values())])
    client = nbclient.NotebookClient(notebook, allow_errors=True, timeout=120, kernel_name="python3")
    static = "1" if request.param == "static" else "0"
    client.execute(env={**os.environ, STATIC: static, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    return request.param, {name: cell.outputs for name, cell in zip(IN_A_KERNEL, notebook.cells[1:], strict=True)}


def test_a_kernel_shows_one_picture_below_the_traceback(ran_in_a_kernel: tuple[str, dict[str, list[Any]]]) -> None:
    """Text and a still picture, above them, unless told otherwise, the widget; line numbers as in the cell."""
    kind, outputs = ran_in_a_kernel
    error, *live, shown = outputs["what is displayed"]
    traceback_text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
    assert error.ename == "RuntimeError"
    assert re.search(r"-+> 7 g\.sum\(\)\.backward\(\)", traceback_text)
    assert "inplace" not in traceback_text.partition("RuntimeError: one of")[0]
    assert [set(one.data) for one in live] == ([{"text/plain", VIEW}] if kind == "widget" else [])
    assert set(shown.data) == {"text/plain", "image/svg+xml"}
    assert "relu_" in shown.data["text/plain"]


def test_a_kernel_runs_other_cells_as_ever(ran_in_a_kernel: tuple[str, dict[str, list[Any]]]) -> None:
    """Await, an interrupt, a cell without tensors, `%%time`; and no mode is left on."""
    kind, outputs = ran_in_a_kernel
    kinds = {name: [output.output_type for output in found] for name, found in outputs.items()}
    shown = ["display_data"] * (2 if kind == "widget" else 1)
    assert kinds["an awaited cell"] == ["execute_result", *shown]
    assert kinds["an interrupt"] == ["error", *shown]
    assert outputs["nothing"][1].data == {"text/plain": EMPTY}
    assert kinds["below time"][-1 - len(shown) :] == ["execute_result", *shown]
    assert outputs["afterwards"] == []


# ------------------------------------------------------------ options


def test_strict_stops_at_the_write(shell: Shell) -> None:
    """The cell ends with our error at the culprit's line, and the tensor is unchanged."""
    ran = shell.run("%%inplace --strict\nx = torch.ones(2, requires_grad=True)\nh = torch.exp(x)\nh.add_(1)")

    assert type(ran.result.error_in_exec).__name__ == "OverwriteError"
    assert shell.ip.user_ns["h"]._version == 0
    assert "ended by OverwriteError" in ran.notes[0]


def test_advise_tells_below_the_picture(shell: Shell) -> None:
    """Advice is text of its own, after the picture."""
    ran = shell.run("%%inplace --advise\nh = torch.ones(256)\nh = h + 1\nh = h * 2")

    assert "line 4 h * 2: mul_ saves 1 KiB" in ran.notes[1]


def test_gradients_are_told_below_the_picture(shell: Shell) -> None:
    """The ledger is text of its own, for any cell."""
    ran = shell.run("%%inplace --gradients\nw = torch.ones(2, requires_grad=True)\n(w * 2).sum().backward()")

    assert ran.notes[1] == (
        "gradients: 1 parameter, no step\n\n     at the end\n  w  there\n\n  w\n    at the end: backward line 3"
    )


def test_verify_proves_a_fix_on_copies(shell: Shell) -> None:
    """The rewrite of a cell is proved in another process; the user's variables and random state are not touched."""
    shell.run("w = torch.randn(3, requires_grad=True)\ndef act(t):\n    return torch.sigmoid(t)")
    cell = "h = act(w)\nh.mul_(torch.rand(3))\nh.sum().backward()"
    states = []
    for options in ("", " --verify"):
        shell.run("torch.manual_seed(0)")
        ran = shell.run(f"%%inplace{options}\n{cell}")
        states.append(torch.get_rng_state().tolist())

    assert "+ h = h.mul(torch.rand(3))" in ran.notes[0]
    told = ran.notes[0].replace("\n       ", " ")
    assert "proved by a replay: nothing raises" in told
    assert "the gradient of w agrees with finite differences" in told
    assert shell.ip.user_ns["w"].grad is None
    assert states[0] == states[1]


def test_verify_says_what_could_not_be_copied(shell: Shell) -> None:
    """A variable that carries a graph, or can't be pickled, makes a replay impossible, and that is said."""
    shell.run("w = torch.randn(3, requires_grad=True)\nh = torch.sigmoid(w)")
    ran = shell.run("%%inplace --verify\nh.mul_(2)\nh.sum().backward()")

    assert "not proved: h carries a graph from an earlier cell" in ran.notes[0].replace("\n       ", " ")
