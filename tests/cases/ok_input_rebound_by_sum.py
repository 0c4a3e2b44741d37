# title: non-leaf with a name of its own and retain_grad
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://discuss.pytorch.org/t/how-to-define-a-leaf-tensor-in-pytorch-0-4-1/28461
import torch

x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
y = torch.tensor([4.0, 5.0, 6.0])
h = x + y
h.retain_grad()
h = h * 1.0
loss = (h ** 2).sum()
loss.backward()
print("gradient of x:", x.grad)
