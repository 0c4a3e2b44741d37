"""GCN and GAT layers of torch-geometric on a random graph."""

import torch
from torch.nn import functional as F
from torch_geometric.data import Data
from torch_geometric.nn import GATConv, GCNConv, global_mean_pool


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = GCNConv(8, 16), GATConv(16, 8, heads=2), torch.nn.Linear(16, 3)

    def forward(self, data):
        x = F.relu(self.first(data.x, data.edge_index))
        x = F.dropout(x, training=self.training)
        x = F.elu(self.second(x, data.edge_index))
        return self.out(x)


torch.manual_seed(0)
data = Data(x=torch.randn(20, 8), edge_index=torch.randint(0, 20, (2, 60)), y=torch.randint(0, 3, (20,)))
train = torch.zeros(20, dtype=torch.bool)
train[:12] = True
model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
for _ in range(4):
    model.train()
    optimizer.zero_grad()
    F.cross_entropy(model(data)[train], data.y[train]).backward()
    optimizer.step()
model.eval()
with torch.no_grad():
    accuracy = (model(data).argmax(1) == data.y)[~train].float().mean().item()
    global_mean_pool(model(data), torch.zeros(20, dtype=torch.long))
