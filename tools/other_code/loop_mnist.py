"""The way of a convolutional classifier on digits: train, then test, with a step schedule."""

import torch
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3)
        self.drop1, self.drop2 = nn.Dropout(0.25), nn.Dropout(0.5)
        self.fc1, self.fc2 = nn.Linear(8 * 6 * 6, 16), nn.Linear(16, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.drop1(F.max_pool2d(x, 2))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return F.log_softmax(self.fc2(self.drop2(x)), dim=1)


def train(model, data, optimizer):
    model.train()
    for number, (images, digits) in enumerate(data):
        optimizer.zero_grad()
        loss = F.nll_loss(model(images), digits)
        loss.backward()
        optimizer.step()
        if number % 2 == 0:
            loss.item()


def test(model, data):
    model.eval()
    total, right = 0.0, 0
    with torch.no_grad():
        for images, digits in data:
            out = model(images)
            total += F.nll_loss(out, digits, reduction="sum").item()
            right += out.argmax(dim=1, keepdim=True).eq(digits.view_as(out.argmax(dim=1, keepdim=True))).sum().item()
    return total, right


def main():
    torch.manual_seed(0)
    data = DataLoader(TensorDataset(torch.rand(32, 1, 16, 16), torch.randint(0, 10, (32,))), batch_size=8)
    model = Net()
    optimizer = optim.Adadelta(model.parameters(), lr=1.0)
    schedule = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    for _ in range(2):
        train(model, data, optimizer)
        test(model, data)
        schedule.step()


if __name__ == "__main__":
    main()
