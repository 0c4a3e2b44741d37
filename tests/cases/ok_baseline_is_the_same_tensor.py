# title: noise is added in place to a clone of the image
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/pytorch/pytorch/issues/34765
import torch

def corrupt(image, sigma):
    noise = torch.randn(image.shape) * sigma
    image.add_(noise).clamp_(0, 1)
    return image

torch.manual_seed(506)
image = torch.rand(1, 4, 4)
baseline = image
noisy = corrupt(image.clone(), sigma=0.3)
mse = (noisy - baseline).pow(2).mean()
print("noise level:", mse.item() > 0)
