# title: linear recurrence with constant factor writes columns of one preallocated tensor
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/WUSTL-CSPL/SlowLiDAR/issues/2
import torch

def simulate(drive, x0, decay=0.9):
    traj = torch.zeros(x0.shape[0], drive.shape[0] + 1)
    traj[:, 0] = x0
    for i in range(drive.shape[0]):
        traj[:, i + 1] = decay * traj[:, i] + drive[i]
    return traj

torch.manual_seed(111)
drive = torch.randn(4, requires_grad=True)
path = simulate(drive, torch.rand(4))
loss = (path[:, -1] - 0.2).pow(2).mean()
loss.backward()
