"""Each change that we make in other people's modules is undone, whatever they do and whenever an interrupt comes."""

from __future__ import annotations

import itertools
import subprocess
import sys
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from inplace.capture.patches import ledger as ledger_module
from inplace.capture.patches.ledger import Hooked, Inserted, Ledger, LinesTraced, Patch, Put, Replacement
from inplace.capture.patches.mode_stack import ModeOn
from inplace.capture.record import Recorder


class Theirs:
    """Somebody else's things."""

    def greet(self) -> str:
        """What is replaced."""
        return "theirs"


def world() -> dict[str, Any]:
    """Things of all the kinds that we change."""
    module = ModuleType("theirs")
    vars(module).update(greet=lambda: "theirs", items=["theirs"])
    return {"module": module, "object": Theirs(), "entries": {"kept": 1}, "hooks": {7: print}}


def changed(found: dict[str, Any]) -> Ledger:
    """A ledger with a change of each kind."""
    ledger = Ledger()
    ledger.replace(found["module"], "greet", lambda theirs: lambda: f"ours over {theirs()}")
    ledger.replace(found["module"], "greet", lambda theirs: lambda: f"ours over {theirs()}")
    ledger.replace(found["object"], "greet", lambda theirs: lambda: f"ours over {theirs()}")
    ledger.make(Inserted(found["module"], "items", 0, SimpleNamespace()))
    ledger.make(Put(found["entries"], "kept", 2))
    ledger.make(Put(found["entries"], "new", 2))
    ledger.make(Hooked(lambda hook: found["hooks"].setdefault(8, hook), lambda: None, found["hooks"]))
    return ledger


def told(found: dict[str, Any]) -> list[Any]:
    """What there is in the things that were changed."""
    module, other = found["module"], found["object"]
    return [
        module.greet(),
        list(module.items),
        other.greet(),
        dict(vars(other)),
        dict(found["entries"]),
        dict(found["hooks"]),
    ]


def test_every_kind_of_change_is_undone() -> None:
    """After `undo` everything is what it was, and to undo it again changes nothing."""
    found = world()
    before = told(found)

    ledger = changed(found)
    during, made = told(found), [change.is_made for change in ledger]
    ledger.undo()
    after = told(found)
    ledger.undo()

    assert [one == two for one, two in zip(before, during, strict=True)] == [False] * len(before)
    assert during[0] == "ours over ours over theirs"
    assert made == [False, *[True] * 6]  # the first is below the second
    assert after == before
    assert told(found) == before
    assert list(ledger) == []


def test_what_others_put_there_meanwhile_stays() -> None:
    """An attribute, entry or list that somebody else has exchanged is left to them, without what is ours."""
    found = world()
    ledger, items = changed(found), found["module"].items

    found["module"].greet = found["object"].greet = lambda: "somebody else's"
    found["module"].items = ["new", *items]
    found["entries"].update(kept=3, new=3)
    found["hooks"].clear()
    ledger.undo()

    assert told(found) == [
        "somebody else's",
        ["new", "theirs"],
        "somebody else's",
        {"greet": found["object"].greet},
        {"kept": 3, "new": 3},
        {},
    ]
    assert items == ["theirs"]


def test_one_change_is_undone_early() -> None:
    """The others stay, and a change can be made again after it was undone."""
    found = world()
    ledger = changed(found)
    first, *others = ledger
    second = others[0]

    ledger.undo_early(second)
    alone, left = found["module"].greet(), len(list(ledger))
    first.undo()
    undone = found["module"].greet()
    first.make()

    assert (alone, left) == ("ours over theirs", 6)
    assert undone == "theirs"
    assert found["module"].greet() == "ours over theirs"


class Interrupt:
    """Raises at one of the points of the ledger, and of the stack of callbacks that it uses, counted from 1."""

    FILES = (ledger_module.__file__, ledger_module.ExitStack.callback.__code__.co_filename)

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """A function for `sys.setprofile`."""
        if frame.f_code.co_filename in self.FILES:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


@pytest.mark.parametrize("action", ["make", "undo"])
def test_an_interrupt_leaves_nothing_behind(action: str) -> None:
    """Wherever it comes while changes are made or undone, to undo them once more undoes all."""
    expected = told(world())
    for number in itertools.count(1):
        found, interrupt, ledgers = world(), Interrupt(number), [Ledger()]
        fired, kept = False, sys.getprofile()
        if action == "undo":
            ledgers = [changed(found)]
        try:
            sys.setprofile(interrupt)
            if action == "make":
                making(found, ledgers[0])
            else:
                ledgers[0].undo()
        except KeyboardInterrupt:
            fired = True
        finally:
            sys.setprofile(kept)
        ledgers[0].undo()

        assert told(found)[0] == expected[0], number
        assert told(found)[1:5] == expected[1:5], number
        assert list(found["hooks"]) == [7], number
        if not fired:
            break
    assert number > 20


def making(found: dict[str, Any], ledger: Ledger) -> None:
    """Make a change of each kind."""
    ledger.replace(found["module"], "greet", lambda theirs: lambda: f"ours over {theirs()}")
    ledger.replace(found["object"], "greet", lambda theirs: lambda: f"ours over {theirs()}")
    ledger.make(Inserted(found["module"], "items", 0, SimpleNamespace()))
    ledger.make(Put(found["entries"], "new", 2))
    ledger.make(Hooked(lambda hook: found["hooks"].setdefault(8, hook), lambda: None, found["hooks"]))


def test_a_change_that_cannot_be_undone_hinders_no_other() -> None:
    """Its error is raised once the others are undone, and it is tried again the next time."""
    found, refuses = world(), [True]

    class Stubborn(Put):
        def _undo(self) -> None:
            if refuses.pop():
                raise OSError("not now")
            super()._undo()

    before = told(found)
    ledger = changed(found)
    ledger.make(Stubborn(found["entries"], "stubborn", 1))

    with pytest.raises(OSError, match="not now"):
        ledger.undo()
    left = told(found)
    refuses.append(False)
    ledger.undo()

    assert left[4] == {"kept": 1, "stubborn": 1}
    assert left[:4] == before[:4]
    assert told(found) == before


def test_a_tracer_of_lines_is_given_back() -> None:
    """Neither Python nor a running frame knows of it afterwards, and one that somebody else has set is left to them."""
    kept, lines = sys.gettrace(), []

    def on_line(frame: FrameType, event: str, argument: Any) -> Any:
        lines.append(frame.f_lineno)
        return on_line

    frame, ledger = sys._getframe(), Ledger()
    sys.settrace(None)
    try:
        ledger.make(LinesTraced(on_line, on_line, lambda one: one is frame))
        traced = sys.gettrace() is on_line, frame.f_trace is on_line
        ledger.undo()
        given_back = sys.gettrace(), frame.f_trace
        ledger.make(LinesTraced(on_line, on_line, lambda one: one is frame))
        sys.settrace(other := lambda *_: None)
        ledger.undo()
        left = sys.gettrace() is other
    finally:
        sys.settrace(kept)

    assert traced == (True, True)
    assert given_back == (None, None)
    assert left
    assert lines != []


# ---------------------------------------------------------------- of a recording


def recorder() -> Recorder:
    """A recorder of this file's code."""
    return Recorder(title="test", is_cell=lambda name: name == __file__)


def test_every_change_of_a_recording_is_undone() -> None:
    """What a recording lists as its changes is there while it runs, and gone when it has ended."""
    recording = recorder()
    kept = sys.gettrace()
    sys.settrace(None)
    try:
        with recording:
            ones = torch.ones(3)
            array = ones.numpy()
            array[0] = 2  # which the tracer of lines sees
            during: list[Patch] = list(recording._ledger)
            made = [change for change in during if not change.is_made]
        traced = sys.gettrace()
    finally:
        sys.settrace(kept)

    assert {type(change) for change in during} == {Replacement, Hooked, Put, ModeOn, LinesTraced}
    assert made == []
    assert [change for change in during if change.is_made] == []
    assert all(getattr(one.owner, one.name) is one.theirs for one in during if isinstance(one, Replacement))
    names = {one.name for one in during if isinstance(one, Replacement)}
    assert names >= {"_engine_run_backward", "has_torch_function", "weakref", "zero_grad", "_showwarnmsg"}
    assert traced is None
    assert list(recording._ledger) == []


def test_a_recording_that_could_not_begin_has_changed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of its changes fails, those made before it are undone."""
    made: list[Patch] = []
    make = Ledger.make

    def failing(self: Ledger, change: Patch) -> None:
        make(self, change)
        made.append(change)
        if isinstance(change, ModeOn):
            raise OSError("no")

    monkeypatch.setattr(Ledger, "make", failing)
    with pytest.raises(OSError, match="no"):
        recorder().start()

    assert len(made) > 10
    assert [change for change in made if change.is_made] == []
    assert Recorder._current is None


def test_the_ledger_needs_no_torch() -> None:
    """Who waits for torch, or for a cell, uses a ledger before torch is there."""
    code = "import sys, inplace.capture.patches.ledger; print('torch' in sys.modules)"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout == "False\n"
