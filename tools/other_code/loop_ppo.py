"""PPO in one file: buffers filled by index under no_grad, advantages computed backwards, several epochs."""

import gymnasium
import numpy as np
import torch
from torch import nn, optim
from torch.distributions import Categorical


def layer(inputs, outputs, std=np.sqrt(2)):
    made = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(made.weight, std)
    nn.init.constant_(made.bias, 0.0)
    return made


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.critic = nn.Sequential(layer(4, 16), nn.Tanh(), layer(16, 1, std=1.0))
        self.actor = nn.Sequential(layer(4, 16), nn.Tanh(), layer(16, 2, std=0.01))

    def get(self, x, action=None):
        odds = Categorical(logits=self.actor(x))
        action = odds.sample() if action is None else action
        return action, odds.log_prob(action), odds.entropy(), self.critic(x)


torch.manual_seed(0)
environments = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make("CartPole-v1") for _ in range(2)])
agent = Agent()
optimizer = optim.Adam(agent.parameters(), lr=2.5e-4, eps=1e-5)
length = 16
observations, actions = torch.zeros(length, 2, 4), torch.zeros(length, 2)
log_probs, rewards, dones, values = (torch.zeros(length, 2) for _ in range(4))
state, done = torch.Tensor(environments.reset(seed=0)[0]), torch.zeros(2)
for _ in range(2):
    for step in range(length):
        observations[step], dones[step] = state, done
        with torch.no_grad():
            action, log_prob, _, value = agent.get(state)
            values[step] = value.flatten()
        actions[step], log_probs[step] = action, log_prob
        found, reward, ended, cut, _ = environments.step(action.numpy())
        rewards[step] = torch.tensor(reward).view(-1)
        state, done = torch.Tensor(found), torch.Tensor(np.logical_or(ended, cut))
    with torch.no_grad():
        following = agent.critic(state).reshape(1, -1)
        advantages, last = torch.zeros_like(rewards), 0
        for t in reversed(range(length)):
            alive = 1.0 - (done if t == length - 1 else dones[t + 1])
            after = following if t == length - 1 else values[t + 1]
            delta = rewards[t] + 0.99 * after * alive - values[t]
            advantages[t] = last = delta + 0.99 * 0.95 * alive * last
        returns = advantages + values
    flat = [one.reshape(-1) for one in (log_probs, advantages, returns, values)]
    order = np.arange(2 * length)
    for _ in range(2):
        np.random.shuffle(order)
        for start in range(0, 2 * length, 8):
            some = order[start : start + 8]
            _, log_prob, entropy, value = agent.get(observations.reshape(-1, 4)[some], actions.long().reshape(-1)[some])
            ratio = (log_prob - flat[0][some]).exp()
            with torch.no_grad():
                ((ratio - 1) - ratio.log()).mean().item()
            gain = flat[1][some]
            gain = (gain - gain.mean()) / (gain.std() + 1e-8)
            policy = torch.max(-gain * ratio, -gain * torch.clamp(ratio, 0.8, 1.2)).mean()
            old = flat[3][some]
            clipped = old + torch.clamp(value.view(-1) - old, -0.2, 0.2)
            critic = 0.5 * torch.max((value.view(-1) - flat[2][some]) ** 2, (clipped - flat[2][some]) ** 2).mean()
            loss = policy - 0.01 * entropy.mean() + 0.5 * critic
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()
