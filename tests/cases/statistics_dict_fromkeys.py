# title: per-class sums made with dict.fromkeys share one tensor
# kind: shared-reference
# raises: none
# culprit: 12, 15
# victim: none
# names: sums
# fix: {k: torch.zeros(2) for k in classes}
# source: own reduction of https://github.com/linkedin/Liger-Kernel/pull/269
import torch

classes = ["cat", "dog", "bird"]
sums = dict.fromkeys(classes, torch.zeros(2))
torch.manual_seed(501)
for label, feat in zip(["cat", "dog", "cat"], torch.ones(3, 2)):
    sums[label] += feat
print({k: v.tolist() for k, v in sums.items()})
