# title: advantages computed by an inference_mode function weight the policy loss
# kind: inference-tensor
# raises: RuntimeError
# culprit: 15, 25
# victim: 20
# names: advantages, adv
# fix: decorate with torch.no_grad(), or use adv.clone()
# source: own reduction of https://github.com/ai4co/rl4co/issues/272
import torch
from torch import nn

@torch.inference_mode()
def compute_advantages(value_net, obs, returns):
    values = value_net(obs).squeeze(-1)
    return returns - values

def policy_loss(policy, obs, actions, adv):
    logp = policy(obs).log_softmax(-1)
    taken = logp.gather(1, actions[:, None]).squeeze(1)
    return -(taken * adv).mean()

torch.manual_seed(1102)
policy, value_net = nn.Linear(3, 2), nn.Linear(3, 1)
obs, returns = torch.randn(6, 3), torch.randn(6)
adv = compute_advantages(value_net, obs, returns)
loss = policy_loss(policy, obs, torch.randint(2, (6,)), adv)
loss.backward()
