# title: text generator feeds soft tokens and argmax only makes the printed sample
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/7174
import torch
from torch import nn

torch.manual_seed(307)
gen = nn.Linear(4, 6)
disc_embed, disc_head = nn.Embedding(6, 3), nn.Linear(3, 1)

def generator_loss(noise):
    logits = gen(noise)
    sample = logits.argmax(dim=-1)
    soft = logits.softmax(-1) @ disc_embed.weight
    score = disc_head(soft).mean()
    return nn.functional.softplus(-score), sample

gen_opt = torch.optim.Adam(gen.parameters(), lr=1e-3)
gen_opt.zero_grad()
loss, sample = generator_loss(torch.randn(5, 4))
loss.backward()
gen_opt.step()
print("sample:", sample.shape)
