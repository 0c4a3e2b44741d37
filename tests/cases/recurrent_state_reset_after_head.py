# title: recurrent state is zeroed for finished episodes after the value head has seen it
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 24
# victim: 23
# names: h
# fix: h = h * (~done).unsqueeze(1)
# source: own reduction of https://github.com/NVlabs/FUNIT/issues/23
import torch
from torch import nn

torch.manual_seed(104)

class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.value = nn.GRUCell(3, 5), nn.Linear(5, 1)

    def unroll(self, obs, done):
        h, values = torch.zeros(obs.shape[1], 5), []
        for t in range(obs.shape[0]):
            h = self.cell(obs[t], h)
            values.append(self.value(h))
            h[done[t]] = 0.0
        return torch.stack(values)

agent = Agent()
obs, done = torch.randn(3, 4, 3), torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]).bool()
returns = agent.unroll(obs, done)
returns.pow(2).mean().backward()
