# title: expand taken after the prototype got its last update
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/huangleiBuaa/IterNorm-pytorch/issues/2
import torch

torch.manual_seed(505)
proto = torch.zeros(1, 3)
start = proto.clone()
for feat in torch.rand(4, 3):
    proto.mul_(0.9).add_(0.1 * feat)
targets = proto.expand(2, 3)
drift = (targets - start).norm()
print("drift of the prototype:", drift.item() > 0)
