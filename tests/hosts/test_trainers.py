"""The trainers of Lightning and of Hugging Face's transformers, where they are installed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import inplace

pytestmark = pytest.mark.filterwarnings("ignore")  # of theirs


def _loss(layer: torch.nn.Module, x: torch.Tensor, *, wrong: bool) -> torch.Tensor:
    h = torch.sigmoid(layer(x))
    if wrong:
        h.relu_()
    return h.sum()


def _lightning(folder: Path, *, wrong_at: int) -> Any:
    lightning = pytest.importorskip("lightning.pytorch")

    class Model(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)

        def training_step(self, batch: torch.Tensor, number: int) -> torch.Tensor:
            return _loss(self.layer, batch, wrong=number == wrong_at)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    callback = inplace.lightning_callback(first=2)
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", callbacks=[callback], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    data = torch.utils.data.DataLoader(torch.randn(12, 2), batch_size=2)
    try:
        trainer.fit(Model(), data)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
        callback.error = error
    return callback


def _hugging_face(folder: Path, *, wrong_at: int) -> Any:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.number = torch.nn.Linear(2, 2), -1

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            self.number += 1
            return {"loss": _loss(self.layer, x, wrong=self.number == wrong_at)}

    callback = inplace.hugging_face_callback(first=2)
    options = transformers.TrainingArguments(
        output_dir=str(folder), use_cpu=True, num_train_epochs=1, per_device_train_batch_size=2, report_to=[],
        save_strategy="no", logging_strategy="no", disable_tqdm=True, remove_unused_columns=False,
    )  # fmt: skip
    data = [{"x": torch.randn(2)} for _ in range(12)]
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
