# title: recurrent weight started as identity by filling the diagonal of its .data
# kind: harmless
# raises: none
# culprit: none
# victim: none
# names: none
# fix: nothing to fix
# source: own reduction of https://github.com/PingoLH/FCHarDNet/issues/61
import torch
from torch import nn

def identity_rnn(size):
    rnn = nn.RNNCell(size, size, nonlinearity="relu")
    rnn.weight_hh.data.zero_()
    diag = rnn.weight_hh.data.diagonal()
    diag.fill_(1.0)
    return rnn

torch.manual_seed(802)
rnn = identity_rnn(3)
h = rnn(torch.randn(2, 3))
rnn(torch.randn(2, 3), h).sum().backward()
