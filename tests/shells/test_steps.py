"""Steps of a training loop, one by one: the first few and each that raises are kept, and nobody notices the others."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

import inplace
from inplace.shells.training.steps import Steps


def sound(x: torch.Tensor) -> torch.Tensor:
    """A step that is right."""
    h = torch.sigmoid(x)
    h.sum().backward()
    return h


def stale(x: torch.Tensor) -> None:
    """A step that raises."""
    h = torch.sigmoid(x)
    h.relu_()
    h.sum().backward()


def silent(x: torch.Tensor) -> None:
    """A step whose gradient is silently wrong."""
    h = torch.sigmoid(x)
    h.data.mul_(2)
    h.sum().backward()


def leaf() -> torch.Tensor:
    """What steps begin with."""
    return torch.ones(3, requires_grad=True)


def test_first_steps_are_kept_and_each_that_raises(capsys: pytest.CaptureFixture[str]) -> None:
    """Three by default; of the others only the one that raises."""

    @inplace.steps
    def step(number: int) -> torch.Tensor | None:
        return stale(leaf()) if number == 7 else sound(leaf())

    for number in range(7):
        assert isinstance(step(number), torch.Tensor)
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as raised:
        step(7)
    step(8)

    kept: Any = step.steps  # type: ignore[attr-defined]
    assert kept.count == 9
    assert [one.report.worst for one in kept.recordings] == [None, None, None, "error"]
    told = capsys.readouterr().err
    assert told.count("inplace: step") == 1
    assert "inplace: step 8\n✗ saved-tensor-modified" in told
    names = [entry.name for entry in raised.traceback]
    assert not any("inplace" in str(entry.path) and "src" in str(entry.path) for entry in raised.traceback), names


def test_the_same_finding_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A loop that is wrong in each step says so once, for as many steps as are looked at."""
    step: Callable[[torch.Tensor], None] = inplace.steps(first=2)(silent)

    for _ in range(4):
        step(leaf())

    assert capsys.readouterr().err.count("silent-corruption") == 1
    assert len(step.steps.recordings) == 2  # type: ignore[attr-defined]


def test_later_steps_can_be_left_alone() -> None:
    """With `raising=False` they run without us, whatever they raise."""
    step = inplace.steps(first=1, raising=False)(stale)

    for _ in range(2):
        with pytest.raises(RuntimeError):
            step(leaf())

    assert len(step.steps.recordings) == 1  # type: ignore[attr-defined]


def test_block_is_a_step(capsys: pytest.CaptureFixture[str]) -> None:
    """Where a step is no function."""
    watch = Steps(first=1)

    with pytest.raises(RuntimeError), watch.step():
        stale(leaf())

    assert "h.relu_() changed h" in capsys.readouterr().err
    assert [one.report.worst for one in watch.recordings] == ["error"]


def test_nothing_is_left_of_a_step() -> None:
    """No mode, no recording, and no tensor."""
    step = inplace.steps(first=1)(sound)

    alive = []
    for _ in range(3):
        h = step(leaf())
        alive.append(weakref.ref(h))
        del h
    gc.collect()

    assert [ref() for ref in alive] == [None] * 3
    assert torch._C._len_torch_function_stack() == 0
    with inplace.record():
        torch.ones(1)


def test_step_within_a_recording_is_a_part_of_it() -> None:
    """Whoever records all of it is not disturbed."""
    step = inplace.steps(first=1)(sound)

    with inplace.record() as recording:
        step(leaf())

    assert len(recording.trace.calls) >= 4
    assert not recording.trace.notes
    assert not step.steps.recordings  # type: ignore[attr-defined]


def test_fault_of_ours_costs_the_recording_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told once, and the steps run."""
    from inplace.capture.record import Recorder

    def broken(*_: object) -> None:
        raise KeyError("here")

    monkeypatch.setattr(Recorder, "start", broken)
    step = inplace.steps(sound)

    assert all(isinstance(step(leaf()), torch.Tensor) for _ in range(2))
    assert capsys.readouterr().err.count("This step was not recorded (KeyError: 'here')") == 1


# ------------------------------------------------------------ callbacks, with stand-ins for what calls them


def test_lightning_callback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps go from batch to batch; an exception is handed over."""
    home: Any = ModuleType("lightning.pytorch")
    home.Callback = type("Callback", (), {})
    monkeypatch.setitem(sys.modules, "lightning.pytorch", home)

    class Model(torch.nn.Module):
        def training_step(self, x: torch.Tensor, *, wrong: bool) -> None:
            (stale if wrong else sound)(x)

    model = Model()
    callback = inplace.lightning_callback(first=1)
    for number in range(3):
        callback.on_train_batch_start(None, model, None, number)
        try:
            model.training_step(leaf(), wrong=number == 2)
        except RuntimeError as error:
            callback.on_exception(None, model, error)
        else:
            callback.on_train_batch_end(None, model, None, None, number)
    callback.teardown(None, model, "fit")

    assert isinstance(callback, home.Callback)
    assert [one.report.worst for one in callback.steps.recordings] == [None, "error"]
    assert "inplace: step 3\n✗ saved-tensor-modified" in capsys.readouterr().err
    assert torch._C._len_torch_function_stack() == 0


def test_lightning_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence says what to install."""
    monkeypatch.setattr("inplace.shells.training.lightning.find_spec", lambda name: None)
    for name in ("lightning.pytorch", "pytorch_lightning"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    with pytest.raises(ImportError, match="pip install lightning"):
        inplace.lightning_callback()


class _Trainer:
    """Calls callbacks as the Trainer of transformers does."""

    def __init__(self, callback: Any, step: Callable[[int], object]) -> None:
        self.callback_handler, self._step = SimpleNamespace(callback=callback), step

    def training_step(self, number: int) -> object:
        return self._step(number)

    def train(self) -> None:
        callback = self.callback_handler.callback
        callback.on_train_begin(None, None, None, model=None)
        for number in range(4):
            callback.on_step_begin(None, None, None, model=None)
            self.training_step(number)
            callback.on_step_end(None, None, None, model=None)
        callback.on_train_end(None, None, None, model=None)


def test_hugging_face_callback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The trainer hands over no exception, so its step notes it; nothing is left of it after the training."""
    home: Any = ModuleType("transformers")
    home.TrainerCallback = type("TrainerCallback", (), {})
    monkeypatch.setitem(sys.modules, "transformers", home)

    callback = inplace.hugging_face_callback(first=1)
    trainer = _Trainer(callback, lambda number: sound(leaf()))
    trainer.train()
    assert "training_step" not in vars(trainer)
    assert [one.report.worst for one in callback.steps.recordings] == [None]

    callback = inplace.hugging_face_callback(first=1)
    with pytest.raises(RuntimeError):
        _Trainer(callback, lambda number: stale(leaf()) if number == 2 else sound(leaf())).train()
    assert [one.report.worst for one in callback.steps.recordings] == [None, "error"]
    assert "inplace: step 3\n✗ saved-tensor-modified" in capsys.readouterr().err
    assert torch._C._len_torch_function_stack() == 0
