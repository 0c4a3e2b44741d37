"""A tiny UNet2DModel trained to tell noise, with a moving average of the weights."""

import torch
from diffusers import DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel

torch.manual_seed(0)
model = UNet2DModel(
    sample_size=16,
    in_channels=1,
    out_channels=1,
    layers_per_block=1,
    block_out_channels=(16, 32),
    norm_num_groups=8,
    down_block_types=("DownBlock2D", "AttnDownBlock2D"),
    up_block_types=("AttnUpBlock2D", "UpBlock2D"),
)
noise_schedule = DDPMScheduler(num_train_timesteps=50)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
average = EMAModel(model.parameters())
for _ in range(3):
    images = torch.randn(2, 1, 16, 16)
    noise = torch.randn_like(images)
    steps = torch.randint(0, 50, (2,))
    noisy = noise_schedule.add_noise(images, noise, steps)
    loss = torch.nn.functional.mse_loss(model(noisy, steps).sample, noise)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    average.step(model.parameters())
    optimizer.zero_grad()
average.store(model.parameters())
average.copy_to(model.parameters())
average.restore(model.parameters())
