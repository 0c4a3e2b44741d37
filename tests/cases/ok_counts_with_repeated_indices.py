# title: counts at distinct indices added in place
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/pytorch/pytorch/issues/3844
import torch

def cooccurrence(a, b, size):
    counts = torch.zeros(size, size)
    pairs = torch.stack([a, b], 1).unique(dim=0)
    counts[pairs[:, 0], pairs[:, 1]] += 1
    counts.index_put_((a, b), torch.ones(len(a)), accumulate=True)
    return counts

words = torch.tensor([0, 1, 0, 1, 0, 1])
print(cooccurrence(words[:-1], words[1:], 2))
