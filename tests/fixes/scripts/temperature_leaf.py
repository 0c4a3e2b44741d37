# kind: rebound-leaf
# new: with torch.no_grad(): | self.t -= lr * self.t.grad
import torch
import torch.nn.functional as F

torch.manual_seed(0)


class Scaler:
    def __init__(self):
        self.t = torch.ones(1, requires_grad=True)

    def calibrate(self, logits, y, lr=0.1):
        for _ in range(3):
            loss = F.cross_entropy(logits / self.t, y)
            loss.backward()
            self.t = self.t - lr * self.t.grad
            self.t.grad = None


Scaler().calibrate(torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1]))
