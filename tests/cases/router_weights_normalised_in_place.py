# title: top-k router weights divided in place after the load balancing loss used them
# kind: saved-tensor-modified
# raises: RuntimeError
# culprit: 19
# victim: 18
# names: top, weights
# fix: top = top / top.sum(...)
# source: own reduction of https://github.com/databricks/megablocks/pull/70
import torch
from torch import nn

torch.manual_seed(121)
router = nn.Linear(4, 3)
experts = [torch.randn(4) for _ in range(3)]
x = torch.randn(5, 4)
scores = router(x).softmax(-1)
top, index = scores.topk(2, dim=-1)
balance = top.square().mean()
top.div_(top.sum(-1, keepdim=True))
chosen = torch.stack(experts)[index]
out = (top.unsqueeze(-1) * chosen).sum(1)
(out.mean() + 0.01 * balance).backward()
