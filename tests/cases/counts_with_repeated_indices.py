# title: co-occurrence counts with repeated index pairs count each pair once
# kind: overlapping-write
# raises: none
# culprit: 13
# victim: none
# names: counts
# fix: counts.index_put_((a, b), torch.ones(5), accumulate=True)
# source: https://github.com/pytorch/pytorch/issues/3844
import torch

def cooccurrence(a, b, size):
    counts = torch.zeros(size, size)
    counts[a, b] += 1
    return counts

words = torch.tensor([0, 1, 0, 1, 0, 1])
print(cooccurrence(words[:-1], words[1:], 2))
