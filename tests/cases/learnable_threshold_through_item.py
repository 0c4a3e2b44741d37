# title: learnable threshold enters the computation through .item()
# kind: graph-detached
# raises: none
# culprit: 13
# victim: 13
# names: threshold
# fix: subtract the tensor threshold itself
# source: own reduction of https://github.com/pytorch/pytorch/issues/7174
import torch
import torch.nn.functional as F

def shrink(x, threshold):
    t = threshold.item()
    return torch.sign(x) * F.relu(x.abs() - t)

torch.manual_seed(314)
dictionary = torch.randn(4, 3, requires_grad=True)
threshold = torch.tensor(0.2, requires_grad=True)
opt = torch.optim.Adam([dictionary, threshold], lr=0.01)
x = torch.randn(5, 4)
for _ in range(2):
    code = shrink(x @ dictionary, threshold)
    loss = F.mse_loss(code @ dictionary.t(), x)
    opt.zero_grad()
    loss.backward()
    opt.step()
print("threshold:", threshold.item(), threshold.grad)
