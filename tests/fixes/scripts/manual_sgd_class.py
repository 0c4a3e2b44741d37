# kind: leaf-inplace
# new: with torch.no_grad(): | self.w -= lr * self.w.grad | self.b -= lr * self.b.grad
import torch
import torch.nn.functional as F

torch.manual_seed(0)


class LinearRegression:
    def __init__(self, n):
        self.w = torch.zeros(n, requires_grad=True)
        self.b = torch.zeros(1, requires_grad=True)

    def predict(self, x):
        return x @ self.w + self.b

    def fit(self, x, y, lr=0.1, steps=5):
        for _ in range(steps):
            loss = F.mse_loss(self.predict(x), y)
            loss.backward()
            self.w -= lr * self.w.grad
            self.b -= lr * self.b.grad
            self.w.grad.zero_()
            self.b.grad.zero_()


m = LinearRegression(3)
x = torch.randn(16, 3)
m.fit(x, x.sum(1))
