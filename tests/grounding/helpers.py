"""A model whose reasons are known beforehand."""


import torch

from molfusion.batch import Target
from molfusion.encoders import DeepEncoder, E3FPTokens, Frozen
from molfusion.encoders.deepencoder import Global, Local
from molfusion.fusion import CrossAttention
from molfusion.tasks import Property
from molfusion.views.e3fp import E3FPView
from molfusion.views.image import ImageView
from tests.contract import collate, records

SMALL = {
    "image": ImageView(32, 32, whole=32, tile=16),
    "local": Local(8, 2, 2, 4, 2, (1,), (4, 8, 8)),
    "globally": Global(1, 2, 16, 2),
}


def probe(encoder, head=None, readout="mean"):
    """Property of one target, with a linear head on the mean of the tokens."""
    task = Property(encoder, head="linear", norm=False, readout=readout)
    task.targets = (Target("y"),)
    task._standardise([0.0], [1.0])
    task.configure_model()
    if head is not None:
        with torch.no_grad():
            task.head.weight.copy_(torch.tensor([head]))
            task.head.bias.zero_()
    return task.eval()


def fused(kind="attention", frozen=False, crops="off", context=None):
    torch.manual_seed(0)
    query = DeepEncoder(**SMALL, crops=crops)
    context = context or E3FPTokens(8, shells=E3FPView(bits=64))
    return CrossAttention(Frozen(query) if frozen else query, context, 8, 2, kind=kind)


def batch_of(task, chosen=None):
    chosen = chosen or records()
    return collate(task.encoder, chosen), chosen


