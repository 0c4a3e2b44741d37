"""The trainers of Lightning and of Hugging Face's transformers, where they are installed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import inplace

pytestmark = pytest.mark.filterwarnings("ignore")  # of theirs


def _loss(layer: torch.nn.Module, x: torch.Tensor, *, wrong: bool, silent: bool = False) -> torch.Tensor:
    h = torch.sigmoid(layer(x))
    if wrong:
        h.relu_()
    if silent:
        h.data.mul_(2)
    return h.sum()


def _lightning(folder: Path, *, wrong_at: int, silent_at: int = -2, steps: int = 6, **options: Any) -> Any:
    lightning = pytest.importorskip("lightning.pytorch")

    class Model(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)

        def training_step(self, batch: torch.Tensor, number: int) -> torch.Tensor:
            return _loss(self.layer, batch, wrong=number == wrong_at, silent=number == silent_at)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    callback = inplace.lightning_callback(**{"first": 2, **options})
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", callbacks=[callback], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    data = torch.utils.data.DataLoader(torch.randn(2 * steps, 2), batch_size=2)
    try:
        trainer.fit(Model(), data)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
        callback.error = error
    return callback


def _hugging_face(folder: Path, *, wrong_at: int, silent_at: int = -2, steps: int = 6, **options: Any) -> Any:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.number = torch.nn.Linear(2, 2), -1

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            self.number += 1
            wrong, silent = self.number == wrong_at, self.number == silent_at
            return {"loss": _loss(self.layer, x, wrong=wrong, silent=silent)}

    callback = inplace.hugging_face_callback(**{"first": 2, **options})
    options = transformers.TrainingArguments(
        output_dir=str(folder), use_cpu=True, num_train_epochs=1, per_device_train_batch_size=2, report_to=[],
        save_strategy="no", logging_strategy="no", disable_tqdm=True, remove_unused_columns=False,
    )  # fmt: skip
    data = [{"x": torch.randn(2)} for _ in range(2 * steps)]
    trainer = transformers.Trainer(model=Model(), args=options, train_dataset=data, callbacks=[callback])
    try:
        trainer.train()
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
        callback.error = error
    return callback


@pytest.mark.parametrize("train", [_lightning, _hugging_face])
def test_first_steps_and_the_one_that_raises(train: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The fifth step raises: its lines are named, and no recording is left on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        callback = train(tmp_path, wrong_at=4)

    assert [one.report.worst for one in callback.steps.recordings][2:] == ["error"]
    assert callback.steps.count == 5
    assert "h.relu_() changed h after line" in " ".join(capsys.readouterr().err.split())
    assert torch._C._len_torch_function_stack() == 0


@pytest.mark.parametrize("train", [_lightning, _hugging_face])
def test_sound_twin(train: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said of a training that is right; the first steps are kept, with backward and the optimizer's step."""
    callback = train(tmp_path, wrong_at=-2)

    assert not hasattr(callback, "error")
    assert callback.steps.count == 6
    kept = callback.steps.recordings
    assert len(kept) == 2
    assert all(one.report.worst not in {"error", "warning"} for one in kept), str(kept[0])
    assert {
        "Optimizer.step" in str([call.function.name for call in one.trace.calls]) or one.trace.optimizers
        for one in kept
    }
    assert "inplace:" not in capsys.readouterr().err


@pytest.mark.parametrize("train", [_lightning, _hugging_face])
def test_a_training_as_one_run_that_is_let_go_of(
    train: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an early step did in silence is told when the training ends, with what was let go of meanwhile."""
    callback = train(tmp_path, wrong_at=-2, silent_at=2, steps=60, keep=1)

    (recording,) = callback.steps.recordings
    told = recording.to_json()
    assert [one["kind"] for one in told["diagnoses"] if one["severity"] != "info"] == ["silent-corruption"]
    assert told["windows"]["count"] > 2
    assert "let go of: " in capsys.readouterr().err
    assert torch._C._len_torch_function_stack() == 0


@pytest.mark.parametrize("train", [_lightning, _hugging_face])
def test_a_training_as_one_run_that_raises(train: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The step that raises ends it: its lines are named, and no recording is left on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        callback = train(tmp_path, wrong_at=50, steps=60, keep=1, light=True)

    (recording,) = callback.steps.recordings
    assert [one.kind for one in recording.report.findings] == ["saved-tensor-modified"]
    assert capsys.readouterr().err.count("h.relu_() changed") == 1
    assert torch._C._len_torch_function_stack() == 0
