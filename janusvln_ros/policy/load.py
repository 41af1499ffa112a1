"""The one door to a policy: from options to weights in memory. Torch comes when it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import tempfile
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from janusvln_ros.policy.options import AS_LOADED, PolicyOptions

if TYPE_CHECKING:
    from janusvln_ros.policy.janus import JanusPolicy
    from janusvln_ros.policy.network.model import JanusModel
    import torch


class Loader:
    """Loads policies, one at a time; they share a network where they may."""

    def __init__(self) -> None:
        self._networks: WeakValueDictionary[tuple[str, ...], JanusModel] = WeakValueDictionary()

    def __call__(self, options: PolicyOptions) -> JanusPolicy:
        """Load a policy as `load_policy` does."""
        policy = load_policy(options, self._networks.get(options.network))
        self._networks[options.network] = policy.model
        return policy


def load_policy(options: PolicyOptions, model: JanusModel | None = None) -> JanusPolicy:
    """
    Load the policy that the options name; model: its network, if that has been loaded already.

    Raises ValueError for options that contradict each other or the machine, CheckpointError for a
    folder that is missing, partial or foreign.
    """
    if not options.checkpoint:
        raise ValueError(
            'parameter checkpoint is empty: give the folder of a checkpoint, or '
            '"random" to try the plumbing'
        )
    from janusvln_ros.policy.janus import JanusPolicy
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    with checkpoint_folder(options.checkpoint) as folder:
        return JanusPolicy.from_pretrained(
            folder,
            device=options.device,
            dtype=options.dtype,
            image_width=options.image_width or None,
            memory=options.memory(),
            decoding=options.decoding,
            language_weights=None
            if options.language_weights == AS_LOADED
            else options.language_weights,
            geometry_heads=options.geometry_heads,
            model=model,
            adapter=options.adapter or None,
        )


@contextmanager
def checkpoint_folder(name: str) -> Iterator[Path]:
    """Give a checkpoint's folder; of 'random' one that is there for this context only."""
    if name != 'random':
        yield Path(name)
        return
    from janusvln_ros.policy.random_checkpoint import write_random_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        yield write_random_checkpoint(Path(folder) / 'random')


def choose_device(name: str | torch.device = 'auto') -> torch.device:
    """
    Return the device meant; 'auto' is the GPU of this process's rank if there is one.

    The rank is torchrun's LOCAL_RANK. ValueError for a name that is none, or CUDA without a GPU.
    """
    import torch

    if str(name) == 'auto':
        if not torch.cuda.is_available():
            return torch.device('cpu')
        rank = int(os.environ.get('LOCAL_RANK', 0))
        return torch.device('cuda', rank % torch.cuda.device_count())
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise ValueError(f'device is {name!r}; auto, cpu, cuda or cuda:0 is right') from None
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(
            "device is 'cuda', but there is no CUDA GPU here; 'cpu' would work "
            '(of a launch file: computer:=laptop_cpu)'
        )
    return device


def choose_dtype(name: str | torch.dtype, device: torch.device) -> torch.dtype:
    """Return the dtype meant; 'auto' is bfloat16 on CUDA, float32 on a CPU. ValueError: none."""
    import torch

    if name == 'auto':
        return torch.bfloat16 if device.type == 'cuda' else torch.float32
    dtype = getattr(torch, name, None) if isinstance(name, str) else name
    if dtype not in (torch.bfloat16, torch.float16, torch.float32):
        raise ValueError("dtype is none of 'auto', 'bfloat16', 'float16', 'float32'")
    return dtype
