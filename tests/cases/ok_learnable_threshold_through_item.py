# title: learnable threshold read with .item() for an early exit and the log
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/7174
import torch
import torch.nn.functional as F

def shrink(x, threshold):
    if threshold.item() <= 0:
        return x
    return torch.sign(x) * F.relu(x.abs() - threshold)

torch.manual_seed(314)
dictionary = torch.randn(4, 3, requires_grad=True)
threshold = torch.tensor(0.2, requires_grad=True)
opt = torch.optim.Adam([dictionary, threshold], lr=0.01)
x, log = torch.randn(5, 4), []
for _ in range(2):
    code = shrink(x @ dictionary, threshold)
    loss = F.mse_loss(code @ dictionary.t(), x)
    opt.zero_grad()
    loss.backward()
    opt.step()
    log.append((loss.item(), threshold.item()))
print("steps:", len(log))
