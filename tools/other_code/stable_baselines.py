"""PPO, A2C, DQN and SAC of stable-baselines3 on small environments."""

import torch
from stable_baselines3 import A2C, DQN, PPO, SAC

torch.manual_seed(0)
PPO("MlpPolicy", "CartPole-v1", n_steps=32, batch_size=16, n_epochs=2, seed=0, device="cpu").learn(64)
A2C("MlpPolicy", "CartPole-v1", seed=0, device="cpu").learn(20)
DQN("MlpPolicy", "CartPole-v1", learning_starts=10, train_freq=4, target_update_interval=8, seed=0, device="cpu").learn(
    40
)
SAC("MlpPolicy", "Pendulum-v1", learning_starts=10, batch_size=8, seed=0, device="cpu").learn(20)
