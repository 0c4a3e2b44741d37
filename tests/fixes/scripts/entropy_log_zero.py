# kind: non-finite-gradient
# new: return -(p * p.clamp_min(1e-8).log()).sum(-1).mean()
import torch
import torch.nn as nn

torch.manual_seed(0)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, s, legal):
        logits = self.fc(s).masked_fill(~legal, float("-inf"))
        return logits.softmax(-1)


def entropy(p):
    return -(p * p.log()).sum(-1).mean()


policy = Policy()
opt = torch.optim.SGD(policy.parameters(), lr=0.1)
legal = torch.tensor([True, True, False, True])
p = policy(torch.randn(5, 3), legal)
loss = -p[:, 0].log().mean() - 0.01 * torch.nan_to_num(entropy(p))
opt.zero_grad()
loss.backward()
opt.step()
