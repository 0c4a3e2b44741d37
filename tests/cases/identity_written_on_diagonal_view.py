# title: recurrent weight started as identity by filling its diagonal view
# kind: view-of-leaf-inplace
# raises: RuntimeError
# culprit: 16
# victim: none
# names: rnn, rnn.weight_hh, diag
# fix: nn.init.eye_(rnn.weight_hh)
# source: own reduction of https://github.com/PingoLH/FCHarDNet/issues/61
import torch
from torch import nn

def identity_rnn(size):
    rnn = nn.RNNCell(size, size, nonlinearity="relu")
    rnn.weight_hh.data.zero_()
    diag = rnn.weight_hh.diagonal()
    diag.fill_(1.0)
    return rnn

torch.manual_seed(802)
rnn = identity_rnn(3)
h = rnn(torch.randn(2, 3))
