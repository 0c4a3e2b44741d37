# title: baseline = image keeps no copy before noise is added in place
# kind: shared-reference
# raises: none
# culprit: 13, 18, 19
# victim: none
# names: baseline, image
# fix: baseline = image.clone()
# source: own reduction of https://github.com/pytorch/pytorch/issues/34765
import torch

def corrupt(image, sigma):
    noise = torch.randn(image.shape) * sigma
    image.add_(noise).clamp_(0, 1)
    return image

torch.manual_seed(506)
image = torch.rand(1, 4, 4)
baseline = image
noisy = corrupt(image, sigma=0.3)
mse = (noisy - baseline).pow(2).mean()
print("noise level:", mse.item())
