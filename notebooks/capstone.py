"""A training script with five bugs: three stop it, one after the other, and two are silent.

It learns to predict the next value of a few noisy waves. Notebook 19 says how to go about it.
"""

import torch
from torch import nn

STEPS = 20
WAVES = 8
LENGTH = 6
FEATURES = 4
HIDDEN = 8


def waves(generator):
    """Noisy waves, and the value that follows each: WAVES x LENGTH x FEATURES, and WAVES x 1."""
    start = torch.rand(WAVES, 1, generator=generator) * 6
    times = start + 0.5 * torch.arange(LENGTH + 1)
    clean = torch.sin(times)
    noise = 0.05 * torch.randn(clean.shape, generator=generator)
    values = clean + noise
    inputs = torch.stack([values[:, :-1] ** power for power in range(1, FEATURES + 1)], dim=-1)
    return inputs, values[:, -1:]


class Block(nn.Module):
    """Two layers with a connection around them."""

    def __init__(self, size):
        super().__init__()
        self.first = nn.Linear(size, size)
        self.second = nn.Linear(size, size)

    def forward(self, x):
        h = torch.relu(self.first(x))
        out = self.second(h)
        h += x
        return out + h


class Gate(nn.Module):
    """Lets a part of what comes in through; the part is learned."""

    def __init__(self, size):
        super().__init__()
        self.score = nn.Linear(size, size)

    def forward(self, x):
        gate = torch.sigmoid(self.score(x))
        out = gate * x
        gate.data.clamp_(max=0.9)
        return out, gate


class Forecast(nn.Module):
    """Reads a wave value by value and says what comes next."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(FEATURES, HIDDEN)
        self.block = Block(HIDDEN)
        self.gate = Gate(HIDDEN)
        self.temperature = nn.Parameter(torch.ones(1))
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, inputs, state):
        for step in range(inputs.shape[1]):
            state = self.cell(inputs[:, step], state)
        gated, gate = self.gate(self.block(state))
        return self.head(gated * self.temperature), gate, state


def warm_up(model, step):
    """Begin with a small temperature, and let it rise to one."""
    if step < 3:
        model.temperature.mul_(0.5)


def evaluate(model, inputs, targets):
    """The mean squared error without a gradient."""
    with torch.no_grad():
        predicted, _, _ = model(inputs, torch.zeros(len(inputs), HIDDEN))
        return (predicted - targets).square().mean().item()


def train():
    """Train; the model with the best weights, their error as noted and as loaded, and how far the gate was open."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    model = Forecast()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    held_out = waves(generator)
    state = torch.zeros(WAVES, HIDDEN)
    best, best_error, openness = None, float("inf"), []

    for step in range(STEPS):
        inputs, targets = waves(generator)
        warm_up(model, step)
        predicted, gate, state = model(inputs, state)
        loss = (predicted - targets).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        openness.append(gate.mean().item())

        error = evaluate(model, *held_out)
        if error < best_error:
            best, best_error = model.state_dict(), error

    model.load_state_dict(best)
    return model, best_error, evaluate(model, *held_out), sum(openness) / STEPS


if __name__ == "__main__":
    _, noted, reached, gate = train()
    print(f"the best error was {noted:.3f}, and the loaded weights have {reached:.3f}; gate open by {gate:.3f}")
