# kind: shared-reference
# new: def forward(self, xs, state=None): | if state is None: | state = torch.zeros(3)
import torch
import torch.nn as nn

torch.manual_seed(0)


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, xs, state=torch.zeros(3)):
        for x in xs:
            with torch.no_grad():
                state += self.fc(x)
        return state


c = Cell()
a = c(torch.randn(2, 3)).clone()
b = c(torch.randn(2, 3)).clone()
print(a, b)
