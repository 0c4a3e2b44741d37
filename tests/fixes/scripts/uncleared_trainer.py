# kind: gradients-never-cleared
# new: self.optimizer.zero_grad()
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Trainer:
    def __init__(self, model, lr=0.05):
        self.model = model
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
        self.history = []

    def fit(self, loader, epochs):
        for _ in range(epochs):
            for x, y in loader:
                loss = F.mse_loss(self.model(x), y)
                loss.backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                self.optimizer.step()
                self.history.append(loss.item())


data = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(3)]
Trainer(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))).fit(data, 2)
