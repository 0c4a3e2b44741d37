# title: REINFORCE stacks log-probabilities and only rewards become a new tensor
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/7174
import torch
from torch import nn

def run_episode(policy, steps):
    log_probs, rewards = [], []
    for _ in range(steps):
        dist = torch.distributions.Categorical(logits=policy(torch.randn(3)))
        action = dist.sample()
        log_probs.append(dist.log_prob(action))
        rewards.append(float(action.item() == 1))
    return log_probs, torch.Tensor(rewards)

torch.manual_seed(313)
policy = nn.Linear(3, 2)
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
saved, rewards = run_episode(policy, 4)
loss = -(torch.stack(saved) * rewards).sum()
optimizer.zero_grad()
loss.backward()
optimizer.step()
