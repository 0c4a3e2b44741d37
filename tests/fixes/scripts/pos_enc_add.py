# kind: view-of-leaf-inplace
# new: with torch.no_grad(): | self.table[:, 0::2] = torch.sin(torch.arange(n).unsqueeze(1) * torch.ones(d // 2)) | self.table[:, 1::2] = torch.cos(torch.arange(n).unsqueeze(1) * torch.ones(d // 2))
import torch
import torch.nn as nn

torch.manual_seed(0)


class PosEnc(nn.Module):
    def __init__(self, n, d):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(n, d))
        self.table[:, 0::2] = torch.sin(torch.arange(n).unsqueeze(1) * torch.ones(d // 2))
        self.table[:, 1::2] = torch.cos(torch.arange(n).unsqueeze(1) * torch.ones(d // 2))

    def forward(self, x):
        return x + self.table[: x.size(1)]


PosEnc(5, 4)(torch.randn(2, 5, 4)).sum().backward()
