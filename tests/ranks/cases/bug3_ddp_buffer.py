# title: DDP broadcasts a buffer that the first of two forwards has saved
# kind: silent-corruption
# raises: none (before torch 2.13 on: "modified by an inplace operation"; since #175851 the counter is put back)
# culprit: 30
# victim: 20
# ranks: 1 changes its bytes; the averaged gradient of every rank is wrong
# names: model.module.scale
# fix: use self.scale.clone(), or DistributedDataParallel(..., broadcast_buffers=False)
# source: own reduction of https://github.com/pytorch/pytorch/issues/22095 and pull 175851
# run: torchrun --standalone --nproc-per-node 2
import torch, torch.nn as nn, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP
class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(4))
        self.register_buffer("scale", torch.ones(4))
    def forward(self, x):
        self.scale = x.detach().abs().mean(0)
        return x * self.w / self.scale
dist.init_process_group("gloo")
r = dist.get_rank()
torch.manual_seed(r)
model = DDP(Norm())
a, b = torch.randn(3, 4), torch.randn(3, 4)
right = (a / a.abs().mean(0)).sum(0) + (b / b.abs().mean(0)).sum(0)
dist.all_reduce(right)
right = right / 2
ya = model(a)
yb = model(b)
(ya.sum() + yb.sum()).backward()
print("RANK", r, "WRONG" if not torch.allclose(model.module.w.grad, right, atol=1e-4) else "FINE", flush=True)
dist.destroy_process_group()
