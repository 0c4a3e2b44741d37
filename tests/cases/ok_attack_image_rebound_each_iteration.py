# title: adversarial image rebound to a fresh leaf after each attack step
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/BaiTheBest/SparseLLM/issues/13
import torch
from torch import nn

def attack(model, image, label, eps=0.03, steps=3):
    adv = image.clone().requires_grad_()
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(adv), label)
        loss.backward()
        adv = (adv + eps * adv.grad.sign()).clamp(0, 1).detach().requires_grad_()
    return adv.detach()

torch.manual_seed(405)
model = nn.Sequential(nn.Flatten(), nn.Linear(9, 3))
adv = attack(model, torch.rand(1, 1, 3, 3), torch.tensor([2]))
print(adv.shape)
