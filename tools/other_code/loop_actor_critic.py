"""Actor and critic with a common body on CartPole."""

from collections import namedtuple

import gymnasium
import torch
from torch import nn, optim
from torch.distributions import Categorical
from torch.nn import functional as F

Step = namedtuple("Step", ["log_prob", "value"])


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.action, self.value = nn.Linear(4, 32), nn.Linear(32, 2), nn.Linear(32, 1)
        self.steps, self.rewards = [], []

    def forward(self, x):
        x = F.relu(self.body(x))
        return F.softmax(self.action(x), dim=-1), self.value(x)


torch.manual_seed(0)
model = Policy()
optimizer = optim.Adam(model.parameters(), lr=3e-2)
environment = gymnasium.make("CartPole-v1")
for episode in range(3):
    state, _ = environment.reset(seed=episode)
    for _ in range(15):
        probs, value = model(torch.from_numpy(state).float())
        odds = Categorical(probs)
        action = odds.sample()
        model.steps.append(Step(odds.log_prob(action), value))
        state, reward, done, _, _ = environment.step(action.item())
        model.rewards.append(reward)
        if done:
            break
    total, returns = 0, []
    for reward in model.rewards[::-1]:
        total = reward + 0.99 * total
        returns.insert(0, total)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + 1e-8)
    policy_losses, value_losses = [], []
    for (log_prob, value), one in zip(model.steps, returns, strict=True):
        advantage = one - value.item()
        policy_losses.append(-log_prob * advantage)
        value_losses.append(F.smooth_l1_loss(value, torch.tensor([one])))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
    loss.backward()
    optimizer.step()
    del model.rewards[:]
    del model.steps[:]
