# title: simulation writes each time step into a column of one preallocated tensor
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 15
# victim: 15
# names: traj
# fix: collect the states in a list and torch.stack them
# source: own reduction of https://github.com/WUSTL-CSPL/SlowLiDAR/issues/2
import torch

def simulate(a, x0, steps):
    traj = torch.zeros(x0.shape[0], steps)
    traj[:, 0] = x0
    for i in range(1, steps):
        traj[:, i] = torch.sin(a * traj[:, i - 1])
    return traj

torch.manual_seed(111)
a = torch.tensor(1.3, requires_grad=True)
path = simulate(a, torch.rand(4), steps=5)
loss = (path[:, -1] - 0.2).pow(2).mean()
loss.backward()
