# title: freezing loop also freezes the new head, so nothing in the loss requires grad
# kind: graph-detached
# raises: RuntimeError
# culprit: 25
# victim: 19, 27, 28, 29
# names: model, p, param, logits, loss
# fix: freeze model.backbone.parameters() only
# source: https://github.com/jina-ai/finetuner/issues/435
import torch
from torch import nn

class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        self.backbone_head = nn.Linear(8, 2)

    def forward(self, x):
        return self.backbone_head(self.backbone(x))

torch.manual_seed(311)
model = Classifier()
for name, p in model.named_parameters():
    if name.startswith("backbone"):
        p.requires_grad = False
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
logits = model(torch.randn(3, 4))
loss = nn.functional.cross_entropy(logits, torch.tensor([0, 1, 0]))
loss.backward()
