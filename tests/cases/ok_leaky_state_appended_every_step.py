# title: leaky integrator appends a clone of its buffer at every step
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/chainer/chainerrl/issues/157
import torch

def integrate(current, leak=0.8):
    v = torch.zeros(current.shape[1])
    trace = []
    for i in current:
        v.mul_(leak).add_(i)
        trace.append(v.clone())
    return torch.stack(trace)

torch.manual_seed(502)
print(integrate(torch.rand(4, 2))[:, 0])
