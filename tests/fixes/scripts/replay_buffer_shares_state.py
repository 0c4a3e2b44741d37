# kind: shared-reference
# new: self.states.append(state.clone())
import torch
import torch.nn as nn

torch.manual_seed(0)


class Buffer:
    def __init__(self):
        self.states = []

    def push(self, state):
        self.states.append(state)

    def sample(self):
        return torch.stack(self.states)


class Env:
    def __init__(self):
        self.state = torch.zeros(3)

    def step(self, action):
        self.state += action
        return self.state


env, buffer = Env(), Buffer()
policy = nn.Linear(3, 3)
for _ in range(4):
    with torch.no_grad():
        action = policy(env.state)
    buffer.push(env.step(action + 0.1))
states = buffer.sample()
loss = policy(states).pow(2).mean()
loss.backward()
print(states.std(0))
