"""FSDP2: parameters, gradients and optimiser states shared out among the processes of a training."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch.distributed as dist
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from molfusion.errors import MolfusionError

# Where the trainer enters a task: the root's parameters are gathered here, a block's when it is called.
ENTRIES = ("training_step", "validation_step", "test_step", "evaluate")


class ShardingError(MolfusionError, RuntimeError):
    """This model cannot be shared out like that; the message says what to do."""


class FullyShardedStrategy(ModelParallelStrategy):
    """Every process is a data-parallel one and holds its share of the model; a checkpoint holds all of it, in one file."""

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def setup(self, trainer: Any) -> None:
        self.optimizers = []  # those of the last fit: a checkpoint to be tested has no states for them
        super().setup(trainer)


def shard(root: nn.Module, mesh: DeviceMesh) -> None:
    """Share out each block of each encoder, then, as one group, everything else in `root`. Once.

    All ranks start from the weights of the first one.

    Raises:
        ShardingError: the mesh has tensor-parallel ranks, or a parameter that trains was left whole.
    """
    if isinstance(root, FSDPModule):
        return
    if mesh["tensor_parallel"].size() > 1:
        raise ShardingError(
            f"the strategy splits tensors over {mesh['tensor_parallel'].size()} processes, which no module here supports; "
            "set trainer.strategy to molfusion.sharding.FullyShardedStrategy (experiments/hardware/fsdp.yaml)"
        )
    for part in [*_blocks(root), root]:
        part.to(mesh.device_type)
        _same_everywhere(part)
        fully_shard(part, mesh=mesh["data_parallel"])
    for entry in ENTRIES:
        register_fsdp_forward_method(root, entry)
    check_sharded(root)


def check_sharded(root: nn.Module) -> None:
    """Raise where a parameter would train without its gradient being summed: the ranks would drift apart in silence."""
    whole = [name for name, p in root.named_parameters() if p.requires_grad and not isinstance(p, DTensor)]
    if whole:
        raise ShardingError(f"{', '.join(whole[:4])}: {len(whole)} parameters train and are not sharded")


def agree_on_buffers(root: nn.Module) -> None:
    """Everybody takes the first rank's (BatchNorm's running statistics), as they do under DDP; nothing if not sharded."""
    if isinstance(root, FSDPModule):
        for buffer in root.buffers():
            dist.broadcast(buffer.data, src=0)


def whole_state(module: nn.Module) -> dict[str, Tensor]:
    """The state dict on the CPU, gathered from all ranks; every rank has to ask for it."""
    state = module.state_dict()
    return {
        name: (value.full_tensor() if isinstance(value, DTensor) else value).detach().to("cpu", copy=True).contiguous()
        for name, value in state.items()
    }


def _blocks(root: nn.Module) -> Iterator[nn.Module]:
    """Each repeated layer of every encoder (or language model, or whatever says what its blocks are) in it, once."""
    seen: set[int] = set()
    for part in root.modules():
        for block in getattr(part, "blocks", ()):
            if id(block) not in seen:
                seen.add(id(block))
                yield block


def _same_everywhere(module: nn.Module) -> None:
    """Overwrite what is still whole by the first rank's."""
    for tensor in itertools.chain(module.parameters(), module.buffers()):
        if not isinstance(tensor, DTensor):
            dist.broadcast(tensor.data, src=0)
