"""Record the README's example and draw it: `python tools/readme_picture.py` writes docs/img/finding.svg."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch

import inplace

torch.manual_seed(0)
recording = inplace.record()
with contextlib.suppress(RuntimeError), recording:
    a = torch.tensor([1.0, 2.0, 3.0])
    b = a
    c = a[1:]
    a.add_(10)
    x = torch.randn(3, requires_grad=True)
    h = torch.sigmoid(x)
    g = h.relu_()
    g.sum().backward()

target = Path(__file__).parents[1] / "docs" / "img" / "finding.svg"
target.write_text(recording.to_svg(), encoding="utf-8")
print(target)
