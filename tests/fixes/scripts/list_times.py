# kind: shared-reference
# new: return [torch.zeros(batch, hidden) for _ in range(layers)]
import torch
import torch.nn as nn

torch.manual_seed(0)


def lstm_states(layers, batch, hidden):
    return [torch.zeros(batch, hidden)] * layers


states = lstm_states(2, 2, 3)
layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
x = torch.randn(2, 3)
with torch.no_grad():
    for i, layer in enumerate(layers):
        states[i] += layer(x)
        x = states[i]
print(torch.stack(states))
