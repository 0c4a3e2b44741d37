"""The models that the benchmarks train."""

from __future__ import annotations

import torch
from torch import nn

Model = tuple[nn.Module, torch.Tensor]


def mlp_model() -> Model:
    """An MLP, and a batch for it."""
    net = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(64, 64), nn.ReLU())))
    return net, torch.randn(32, 64)


class Block(nn.Module):
    """A residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add what two convolutions make of the input."""
        return x + self.norm(self.two(torch.relu(self.one(x))))


def cnn_model() -> Model:
    """A small residual CNN, and a batch for it."""
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *(Block() for _ in range(4))), torch.randn(8, 3, 24, 24)


def transformer_model() -> Model:
    """A four-layer transformer, and a batch for it."""
    layer = nn.TransformerEncoderLayer(128, 4, 256, batch_first=True)
    return nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), torch.randn(8, 32, 128)
