# title: text generator picks tokens with argmax before the discriminator embeds them
# kind: graph-detached
# raises: none
# culprit: 18
# victim: 17
# names: logits, gen, tokens
# fix: feed softmax(logits) @ embedding.weight, or gumbel_softmax
# source: own reduction of https://github.com/pytorch/pytorch/issues/7174
import torch
from torch import nn

torch.manual_seed(307)
gen = nn.Linear(4, 6)
disc_embed, disc_head = nn.Embedding(6, 3), nn.Linear(3, 1)

def generator_loss(noise):
    logits = gen(noise)
    tokens = logits.argmax(dim=-1)
    score = disc_head(disc_embed(tokens)).mean()
    return nn.functional.softplus(-score)

gen_opt = torch.optim.Adam(gen.parameters(), lr=1e-3)
gen_opt.zero_grad()
generator_loss(torch.randn(5, 4)).backward()
gen_opt.step()
print("generator gradient:", gen.weight.grad)
