# title: only the rank with the short batch pads its activations in place; the others wait for it
# kind: saved-tensor-modified
# raises: backward, on rank 1; rank 0 sees "Connection closed by peer" from its all_reduce
# culprit: 17
# victim: 15
# ranks: 1 is the cause, 0 suffers
# names: h
# fix: h = h.masked_fill(...)
# source: own reduction of https://github.com/huggingface/transformers/issues/25130
# run: torchrun --standalone --nproc-per-node 2
import torch, torch.distributed as dist
dist.init_process_group("gloo")
r = dist.get_rank()
w = torch.ones(3, requires_grad=True)
h = torch.sigmoid(w * 2)
if r == 1:
    h.masked_fill_(torch.tensor([True, False, False]), 0.0)
h.sum().backward()
dist.all_reduce(w.grad)
print("RANK", r, "FINE", flush=True)
dist.destroy_process_group()
