# kind: shared-reference
# new: best = {key: value.clone() for key, value in model.state_dict().items()}
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def evaluate(model, x, y):
    with torch.no_grad():
        return F.mse_loss(model(x), y).item()


def fit(model, x, y, epochs=6):
    opt = torch.optim.SGD(model.parameters(), lr=0.9)
    best, best_loss = None, float("inf")
    for epoch in range(epochs):
        opt.zero_grad()
        F.mse_loss(model(x), y).backward()
        opt.step()
        score = evaluate(model, x, y)
        if score < best_loss:
            best_loss = score
            best = model.state_dict()
    model.load_state_dict(best)
    return evaluate(model, x, y), best_loss


x = torch.randn(16, 3)
print(fit(nn.Linear(3, 1), x, x.sum(1, keepdim=True)))
