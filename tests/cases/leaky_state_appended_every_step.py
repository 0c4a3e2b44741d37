# title: leaky integrator appends the same buffer to the trace at every step
# kind: shared-reference
# raises: none
# culprit: 15, 16
# victim: none
# names: v, trace
# fix: trace.append(v.clone())
# source: own reduction of https://github.com/chainer/chainerrl/issues/157
import torch

def integrate(current, leak=0.8):
    v = torch.zeros(current.shape[1])
    trace = []
    for i in current:
        v.mul_(leak).add_(i)
        trace.append(v)
    return torch.stack(trace)

torch.manual_seed(502)
print(integrate(torch.rand(4, 2))[:, 0])
