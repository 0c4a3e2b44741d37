"""REINFORCE on CartPole: log probabilities kept for an episode, returns normalised."""

from collections import deque

import gymnasium
import torch
from torch import nn, optim
from torch.distributions import Categorical
from torch.nn import functional as F


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1, self.dropout, self.affine2 = nn.Linear(4, 32), nn.Dropout(p=0.6), nn.Linear(32, 2)
        self.saved, self.rewards = [], []

    def forward(self, x):
        return F.softmax(self.affine2(F.relu(self.dropout(self.affine1(x)))), dim=1)


torch.manual_seed(0)
policy = Policy()
optimizer = optim.Adam(policy.parameters(), lr=1e-2)
environment = gymnasium.make("CartPole-v1")


def act(state):
    odds = Categorical(policy(torch.from_numpy(state).float().unsqueeze(0)))
    action = odds.sample()
    policy.saved.append(odds.log_prob(action))
    return action.item()


def finish():
    total, returns = 0, deque()
    for reward in policy.rewards[::-1]:
        total = reward + 0.99 * total
        returns.appendleft(total)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + 1e-8)
    losses = [-log * value for log, value in zip(policy.saved, returns, strict=True)]
    optimizer.zero_grad()
    loss = torch.cat(losses).sum()
    loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.saved[:]


for episode in range(3):
    state, _ = environment.reset(seed=episode)
    for _ in range(20):
        state, reward, done, _, _ = environment.step(act(state))
        policy.rewards.append(reward)
        if done:
            break
    finish()
