# title: learnable scale read with float() for the log line only
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://deepinout.com/pytorch/pytorch-questions/75_pytorch_runtime_error_element_0_of_tensors_does_not_require_grad_and_does_not_have_a_grad_fn.html
import torch
from torch import nn

class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.gamma = nn.Parameter(torch.tensor(0.1))
        self.log = []

    def forward(self, x):
        self.log.append(float(self.gamma))
        return x + self.gamma * self.fc(x)

torch.manual_seed(312)
block = Scaled()
opt = torch.optim.SGD(block.parameters(), lr=0.1)
for _ in range(2):
    opt.zero_grad()
    block(torch.randn(2, 3)).square().mean().backward()
    opt.step()
print(len(block.log))
