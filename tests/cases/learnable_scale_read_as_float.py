# title: learnable scale read with float() inside forward
# kind: graph-detached
# raises: none
# culprit: 19
# victim: 19
# names: self.gamma, gamma, block.gamma, block
# fix: multiply by self.gamma itself
# source: own reduction of https://deepinout.com/pytorch/pytorch-questions/75_pytorch_runtime_error_element_0_of_tensors_does_not_require_grad_and_does_not_have_a_grad_fn.html
import torch
from torch import nn

class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.gamma = nn.Parameter(torch.tensor(0.1))

    def forward(self, x):
        return x + float(self.gamma) * self.fc(x)

torch.manual_seed(312)
block = Scaled()
opt = torch.optim.SGD(block.parameters(), lr=0.1)
block(torch.randn(2, 3)).square().mean().backward()
opt.step()
print(block.gamma.grad, block.gamma)
