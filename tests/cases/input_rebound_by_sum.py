# title: x = x + y before backward, then x.grad is read
# kind: rebound-leaf
# raises: none
# culprit: 15
# victim: none
# names: x
# fix: give the sum its own name
# source: own reduction of https://discuss.pytorch.org/t/how-to-define-a-leaf-tensor-in-pytorch-0-4-1/28461
import warnings
import torch

warnings.simplefilter("ignore")
x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
y = torch.tensor([4.0, 5.0, 6.0])
x = x + y
loss = (x ** 2).sum()
loss.backward()
print("gradient of x:", x.grad)
