import torch

from molfusion.nn.pooling import masked_mean


def test_padding_does_not_count():
    x = torch.tensor([[[1.0], [3.0], [100.0]], [[2.0], [0.0], [0.0]]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert masked_mean(x, mask).tolist() == [[2.0], [2.0]]
