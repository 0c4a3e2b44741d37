# title: REINFORCE collects log-probabilities with torch.Tensor(list)
# kind: graph-detached
# raises: RuntimeError
# culprit: 25
# victim: 17
# names: log_probs, lp, saved, policy
# fix: torch.stack(log_probs)
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
    return log_probs, torch.tensor(rewards)

torch.manual_seed(313)
policy = nn.Linear(3, 2)
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
saved, rewards = run_episode(policy, 4)
loss = -(torch.Tensor(saved) * rewards).sum()
optimizer.zero_grad()
loss.backward()
optimizer.step()
