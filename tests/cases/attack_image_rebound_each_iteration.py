# title: adversarial image rebound to a non-leaf after the first attack step
# kind: rebound-leaf
# raises: AttributeError
# culprit: 18
# victim: none
# names: adv
# fix: adv = (...).detach().requires_grad_()
# source: own reduction of https://github.com/BaiTheBest/SparseLLM/issues/13
import warnings
import torch
from torch import nn

def attack(model, image, label, eps=0.03, steps=3):
    adv = image.clone().requires_grad_()
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(adv), label)
        loss.backward()
        adv = (adv + eps * adv.grad.sign()).clamp(0, 1)
    return adv

warnings.simplefilter("ignore")
torch.manual_seed(405)
model = nn.Sequential(nn.Flatten(), nn.Linear(9, 3))
adv = attack(model, torch.rand(1, 1, 3, 3), torch.tensor([2]))
