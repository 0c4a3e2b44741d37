# kind: multi-output-view-inplace
# new: mean, logvar = [one.clone() for one in self.fc(x).chunk(2, dim=-1)]
import torch
import torch.nn as nn

torch.manual_seed(0)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 8)

    def forward(self, x):
        mean, logvar = self.fc(x).chunk(2, dim=-1)
        logvar.clamp_(-5, 2)
        return mean + torch.randn_like(mean) * (0.5 * logvar).exp()


Decoder()(torch.randn(3, 4)).pow(2).sum().backward()
