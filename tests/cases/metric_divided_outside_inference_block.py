# title: test loss summed under inference_mode and divided in place after the block
# kind: inference-tensor
# raises: RuntimeError
# culprit: 16, 17
# victim: 17
# names: test_loss
# fix: divide inside the block, or test_loss = test_loss / n
# source: https://github.com/mrdbourke/pytorch-deep-learning/issues/397
import torch
from torch import nn

def test_step(model, loader, loss_fn):
    test_loss = 0
    with torch.inference_mode():
        for x, y in loader:
            test_loss += loss_fn(model(x), y)
    test_loss /= len(loader)
    print(f"test loss {test_loss:.3f}")

torch.manual_seed(1101)
loader = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(2)]
test_step(nn.Linear(3, 1), loader, nn.functional.mse_loss)
