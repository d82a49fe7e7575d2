"""Models of which each process keeps a part (trainer.strategy=fsdp): cut up before training, put together to save.

Where it stands: `sprig.training.module` asks it where Lightning has laid a mesh over the processes.
"""

import torch
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from sprig.model.transformer import Transformer


def shard(transformer: Transformer, mesh: DeviceMesh, *, trained: bool) -> None:
    """Leave this process with its part of each layer's weights, and of what stands outside of layers.

    Without trained there is no backward pass, which is what leaves a process with its part again.
    """
    for layer in (*transformer.model.layers, transformer):
        if trained:
            fully_shard(layer, mesh=mesh)
        else:
            fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    if trained:
        register_fsdp_forward_method(transformer, "hidden")


def is_sharded(transformer: Transformer) -> bool:
    """Whether this process has a part of it only."""
    return isinstance(transformer, FSDPModule)


def put_together(transformer: Transformer, rank: int) -> Transformer:
    """The whole of a model that is sharded, for rank 0 on the CPU; all processes have to call this.

    The others get one without weights (on the device "meta"): theirs would only take memory.
    """
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights = get_model_state_dict(transformer, options=options)
    with torch.random.fork_rng(devices=[]), torch.device("meta" if rank else "cpu"):
        whole = Transformer(transformer.config)
    if rank == 0:
        whole.load_state_dict(weights)
    return whole
