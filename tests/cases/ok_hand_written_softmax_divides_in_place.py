# title: softmax written by hand shifts the scores in place before exp
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://discuss.pytorch.org/t/when-inplace-operation-are-allowed-and-when-not/169583/3
import torch

def my_softmax(x, dim=-1):
    x = x * 1.0
    x -= x.detach().max(dim, keepdim=True).values
    e = x.exp()
    total = e.sum(dim, keepdim=True)
    total += 1e-8
    return e / total

torch.manual_seed(108)
scores = torch.randn(2, 5, requires_grad=True)
p = my_softmax(scores)
nll = -p[torch.arange(2), torch.tensor([1, 3])].log().sum()
nll.backward()
