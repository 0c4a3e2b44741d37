# title: recurrent state is zeroed in place right after the cell, before anything has saved it
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/NVlabs/FUNIT/issues/23
import torch
from torch import nn

torch.manual_seed(104)

class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.value = nn.GRUCell(3, 5), nn.Linear(5, 1)

    def unroll(self, obs, start):
        h, values = torch.zeros(obs.shape[1], 5), []
        for t in range(obs.shape[0]):
            h = self.cell(obs[t], h)
            h[start[t]] = 0.0
            values.append(self.value(h))
        return torch.stack(values)

agent = Agent()
obs, start = torch.randn(3, 4, 3), torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]).bool()
returns = agent.unroll(obs, start)
returns.pow(2).mean().backward()
