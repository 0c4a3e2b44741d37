# title: expand taken for a copy of the prototype that is then updated
# kind: shared-reference
# raises: none
# culprit: 13, 15
# victim: none
# names: snapshot, proto
# fix: snapshot = proto.repeat(2, 1), or proto.clone()
# source: own reduction of https://github.com/huangleiBuaa/IterNorm-pytorch/issues/2
import torch

torch.manual_seed(505)
proto = torch.zeros(1, 3)
snapshot = proto.expand(2, 3)
for feat in torch.rand(4, 3):
    proto.mul_(0.9).add_(0.1 * feat)
drift = (proto - snapshot).norm()
print("drift of the prototype:", drift.item())
