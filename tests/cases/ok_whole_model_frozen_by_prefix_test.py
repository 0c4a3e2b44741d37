# title: freezing loop freezes the backbone and leaves the head trainable
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: https://github.com/jina-ai/finetuner/issues/435
import torch
from torch import nn

class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.backbone(x))

torch.manual_seed(311)
model = Classifier()
for name, p in model.named_parameters():
    if name.startswith("backbone"):
        p.requires_grad = False
optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=1e-3)
logits = model(torch.randn(3, 4))
loss = nn.functional.cross_entropy(logits, torch.tensor([0, 1, 0]))
loss.backward()
optimizer.step()
