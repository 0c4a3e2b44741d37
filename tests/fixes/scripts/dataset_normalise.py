# kind: shared-reference
# new: image = self.images[i].clone()
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)


class Images(Dataset):
    def __init__(self, n):
        self.images = torch.rand(n, 3, 4, 4)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = self.images[i]
        image.sub_(0.5).div_(0.5)
        return image


loader = DataLoader(Images(6), batch_size=3)
net = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.01)
for epoch in range(3):
    for batch in loader:
        loss = net(batch).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
