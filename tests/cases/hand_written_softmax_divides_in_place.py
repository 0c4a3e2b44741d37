# title: softmax written by hand divides the exponentials in place
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 13
# victim: 12
# names: e
# fix: return e / e.sum(...)
# source: https://discuss.pytorch.org/t/when-inplace-operation-are-allowed-and-when-not/169583/3
import torch

def my_softmax(x, dim=-1):
    e = (x - x.max(dim, keepdim=True).values).exp()
    e /= e.sum(dim, keepdim=True)
    return e

torch.manual_seed(108)
scores = torch.randn(2, 5, requires_grad=True)
p = my_softmax(scores)
nll = -p[torch.arange(2), torch.tensor([1, 3])].log().sum()
nll.backward()
