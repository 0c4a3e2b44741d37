# kind: inference-tensor
# new: loss = F.cross_entropy(probe(feats.clone()), torch.tensor([0, 1, 0, 1, 0]))
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Extractor:
    def __init__(self, backbone):
        self.backbone = backbone.eval()

    @torch.inference_mode()
    def __call__(self, x):
        return self.backbone(x)


extract = Extractor(nn.Sequential(nn.Linear(6, 4), nn.ReLU()))
probe = nn.Linear(4, 2)
opt = torch.optim.SGD(probe.parameters(), lr=0.1)
for _ in range(2):
    feats = extract(torch.randn(5, 6))
    loss = F.cross_entropy(probe(feats), torch.tensor([0, 1, 0, 1, 0]))
    opt.zero_grad()
    loss.backward()
    opt.step()
