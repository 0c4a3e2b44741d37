"""The models that the benchmarks train."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

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


def _pushed(state: np.ndarray, right: bool) -> np.ndarray:  # noqa: FBT001  # the action
    """The state of a cart-pole (position, speed, angle, turn) 0.02 seconds later, as in Barto, Sutton and Anderson."""
    x, speed, angle, turn = state
    drive = ((10.0 if right else -10.0) + 0.05 * turn * turn * math.sin(angle)) / 1.1
    tilt = 9.8 * math.sin(angle) - math.cos(angle) * drive
    tilt /= 0.5 * (4 / 3 - 0.1 * math.cos(angle) ** 2 / 1.1)
    force = drive - 0.05 * tilt * math.cos(angle) / 1.1
    return np.array([x + 0.02 * speed, speed + 0.02 * force, angle + 0.02 * turn, turn + 0.02 * tilt], np.float32)


def q_learning() -> Callable[[], None]:
    """Q-learning on a cart-pole: a state from numpy at each step, and a batch of remembered ones every fourth."""
    nets = [nn.Sequential(nn.Linear(4, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 2)) for _ in "ab"]
    net, target = nets
    optimizer = torch.optim.Adam(net.parameters(), lr=2.5e-4)

    def learn(memory: list[tuple[np.ndarray, int, np.ndarray]], random: np.random.Generator) -> None:
        some = [memory[place] for place in random.integers(0, len(memory), 64)]
        states, actions = torch.from_numpy(np.stack([one[0] for one in some])), torch.tensor([one[1] for one in some])
        with torch.no_grad():
            best, _ = target(torch.from_numpy(np.stack([one[2] for one in some]))).max(dim=1)
            wanted = 1.0 + 0.99 * best
        loss = nn.functional.mse_loss(wanted, net(states).gather(1, actions[:, None]).squeeze())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(target.parameters(), net.parameters(), strict=True):
                slow.mul_(0.99).add_(fast, alpha=0.01)

    def run() -> None:
        random = np.random.default_rng(0)
        memory: list[tuple[np.ndarray, int, np.ndarray]] = []
        state = random.uniform(-0.05, 0.05, 4).astype(np.float32)
        for step in range(200):
            values = net(torch.Tensor(state[None]))
            action = int(torch.argmax(values, dim=1).item())
            after = _pushed(state, bool(action))
            memory.append((state, action, after))
            state = after if step % 20 else random.uniform(-0.05, 0.05, 4).astype(np.float32)
            if not step % 4:
                learn(memory, random)

    return run


def cart_pole() -> Callable[[], None]:
    """REINFORCE on a cart-pole: a state from numpy, a distribution and a sample at each of its steps."""
    net = nn.Sequential(nn.Linear(4, 128), nn.Dropout(0.6), nn.ReLU(), nn.Linear(128, 2))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)

    def episode(random: np.random.Generator) -> None:
        state, logs = random.uniform(-0.05, 0.05, 4).astype(np.float32), []
        for _ in range(50):
            choice = Categorical(torch.softmax(net(torch.from_numpy(state).unsqueeze(0)), 1))
            action = choice.sample()
            logs.append(choice.log_prob(action))
            state = _pushed(state, bool(action.item()))
        returns = torch.tensor([sum(0.99**later for later in range(50 - step)) for step in range(50)])
        returns = (returns - returns.mean()) / (returns.std() + 1e-6)
        loss = torch.cat([-log * gain for log, gain in zip(logs, returns, strict=True)]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def run() -> None:
        torch.manual_seed(0)
        random = np.random.default_rng(0)
        for _ in range(4):
            episode(random)

    return run
