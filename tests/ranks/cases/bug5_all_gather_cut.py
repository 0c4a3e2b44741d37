# title: a contrastive loss is computed of what all_gather collected, which has no graph
# kind: graph-detached
# raises: none
# culprit: 21
# victim: none
# ranks: 0 1
# names: head.weight, head.bias
# fix: put this rank's own part back: gathered[rank] = z, or torch.distributed.nn.functional.all_gather
# source: own reduction of https://github.com/huggingface/accelerate/issues/1154
# run: torchrun --standalone --nproc-per-node 2
import torch, torch.nn as nn, torch.distributed as dist
dist.init_process_group("gloo")
r = dist.get_rank()
torch.manual_seed(0)
body, head = nn.Linear(4, 4), nn.Linear(4, 2)
opt = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.1)
x = torch.randn(4, 4)
h = body(x)
z = head(h)
gathered = [torch.zeros_like(z) for _ in range(2)]
dist.all_gather(gathered, z)
every = torch.cat(gathered)
loss = h.pow(2).mean() + (every @ every.t()).logsumexp(1).mean()
loss.backward()
opt.step()
print("RANK", r, "WRONG" if head.weight.grad is None else "FINE", flush=True)
dist.destroy_process_group()
