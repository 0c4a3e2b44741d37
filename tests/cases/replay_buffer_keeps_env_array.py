# title: replay buffer keeps tensors over the one array the environment steps in place
# kind: shared-reference
# raises: none
# culprit: 18, 19, 26
# victim: none
# names: obs, memory, self.state, env, env.state
# fix: memory.append(torch.tensor(obs))
# source: https://github.com/google-deepmind/dm_control/issues/34
import collections
import numpy as np
import torch

class CartPole:
    def __init__(self):
        self.state = np.zeros(2, dtype=np.float32)

    def step(self, force):
        self.state[1] += 0.1 * force
        self.state[0] += 0.1 * self.state[1]
        return self.state

env = CartPole()
memory = collections.deque(maxlen=10)
for t in range(4):
    obs = env.step(force=1.0)
    memory.append(torch.from_numpy(obs))
batch = torch.stack(list(memory))
print(batch)
