# kind: shared-reference
# new: memory.append(Step(state.clone(), action, 1.0))
import torch
import torch.nn as nn
from collections import deque, namedtuple

torch.manual_seed(0)


Step = namedtuple("Step", "state action reward")


def collect(policy, n=4):
    state, memory = torch.zeros(3), []
    for _ in range(n):
        with torch.no_grad():
            action = policy(state)
        memory.append(Step(state, action, 1.0))
        state += action
    return memory


policy = nn.Linear(3, 3)
memory = collect(policy)
states = torch.stack([s.state for s in memory])
loss = policy(states).pow(2).mean()
loss.backward()
