# title: gradients kept in a list while zero_grad reuses their buffer
# kind: shared-reference
# raises: none
# culprit: 16, 17, 18
# victim: none
# names: grads, w.grad, w
# fix: grads.append(w.grad.clone())
# source: own reduction of https://github.com/pytorch/pytorch/issues/34765
import torch

torch.manual_seed(508)
w = torch.randn(2, requires_grad=True)
opt = torch.optim.SGD([w], lr=0.1)
grads = []
for x in torch.randn(3, 2):
    opt.zero_grad(set_to_none=False)
    (w * x).sum().backward()
    grads.append(w.grad)
    opt.step()
print(torch.stack(grads).std(0))
