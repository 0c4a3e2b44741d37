# title: top-k router weights shifted in place before any loss used them
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/databricks/megablocks/pull/70
import torch
from torch import nn

torch.manual_seed(121)
router = nn.Linear(4, 3)
experts = [torch.randn(4) for _ in range(3)]
x = torch.randn(5, 4)
scores = router(x).softmax(-1)
top, index = scores.topk(2, dim=-1)
top.add_(1e-3).mul_(0.5)
balance = top.square().mean()
chosen = torch.stack(experts)[index]
out = (top.unsqueeze(-1) * chosen).sum(1)
(out.mean() + 0.01 * balance).backward()
