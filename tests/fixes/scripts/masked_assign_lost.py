# kind: lost-write
# new: logits[low] = -1e9
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Sampler(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.logits = nn.Linear(4, vocab)

    def top_k(self, x, k):
        logits = self.logits(x)
        low = logits < logits.topk(k).values[:, -1:]
        logits[low].fill_(-1e9)
        return logits


m = Sampler(6)
out = m.top_k(torch.randn(3, 4), 2)
F.cross_entropy(out, torch.tensor([0, 1, 2])).backward()
