# title: memory bank rows replaced with index_copy_ after backward
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/shuangw98/MFDC/issues/3
import torch
import torch.nn.functional as F

torch.manual_seed(115)
encoder = torch.nn.Linear(6, 3)
bank = F.normalize(torch.randn(8, 3), dim=1)
batch, ids = torch.randn(2, 6), torch.tensor([5, 1])

feat = F.normalize(encoder(batch), dim=1)
sim = F.linear(feat, bank)
loss = F.cross_entropy(sim / 0.07, ids)
loss.backward()
bank.index_copy_(0, ids, feat.detach())
print(bank.shape)
