# kind: view-of-leaf-inplace
# new: with torch.no_grad(): | self.fc.bias[0] = 1.0 | self.fc.weight.mul_(0.1)
import torch
import torch.nn as nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.fc.bias[0] = 1.0
        self.fc.weight.mul_(0.1)

    def forward(self, x):
        return self.fc(x)


Net()(torch.randn(2, 3)).sum().backward()
