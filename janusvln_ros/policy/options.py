"""What one chooses of a policy, declared once for the navigator and for the commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from janusvln_ros.parameters import parameter

if TYPE_CHECKING:
    from janusvln_ros.policy.memory import MemoryConfig

AS_LOADED = 'dtype'  # language_weights that are not quantised


@dataclass(frozen=True)
class PolicyOptions:
    """Taken when a checkpoint is loaded. It imports no torch."""

    checkpoint: str = parameter(
        '',
        'Folder of the checkpoint (Hugging Face layout), or "random" for small random weights '
        'to try the plumbing with: the robot then does not follow the instruction.',
    )
    adapter: str = parameter(
        '',
        "Folder of a low-rank adapter (PEFT's layout) of the language model, added to the "
        "checkpoint's weights as they are loaded; empty: none.",
    )
    device: str = parameter(
        'auto',
        'Where the policy runs; auto takes CUDA if there is any.',
        choices=('auto', 'cuda', 'cpu'),
    )
    dtype: str = parameter(
        'auto',
        'Precision; auto is bfloat16 on CUDA and float32 on a CPU.',
        choices=('auto', 'bfloat16', 'float16', 'float32'),
    )
    language_weights: str = parameter(
        AS_LOADED,
        'Weights of the language model: of dtype, or quantised to save memory (torchao).',
        choices=(AS_LOADED, 'int8', 'fp8', 'int4'),
    )
    image_width: int = parameter(
        0, "Width the policy sees; 0: the checkpoint's own.", unit='pixels', low=0, high=4096
    )
    memory_mode: str = parameter(
        'sampled',
        'Semantic memory: sampled is what the published weights were trained with, '
        "windowed the paper's initial and sliding window.",
        choices=('sampled', 'windowed'),
    )
    initial_frames: int = parameter(
        8, 'First frames that both memories keep for ever.', low=0, high=1000
    )
    recent_frames: int = parameter(48, 'Newest frames that both memories keep.', low=1, high=1000)
    history_frames: int = parameter(
        8, 'Past frames in the prompt (memory_mode sampled).', low=1, high=64
    )
    kept_fraction: float = parameter(
        1.0,
        'Part of the image tokens that frames keep in the language model once 16 newer ones '
        'have come; 1 is no pruning, less needs memory_mode windowed.',
        low=0.0,
        high=1.0,
    )
    pruning: str = parameter(
        'features',
        'Which tokens old frames lose (kept_fraction): features, what the next frame shows too; '
        'voxels, what newer ones show near the same place, by geometry_heads points.',
        choices=('features', 'voxels'),
    )
    geometry_heads: str = parameter(
        'none',
        "What the geometry encoder tells beside decisions, which stay the same: each picture's "
        'depth, or points (and depth), or none. The checkpoint must have the heads.',
        choices=('none', 'depth', 'points'),
    )
    decoding: str = parameter(
        'constrained',
        "How an answer is read: constrained to the four actions, or published, the reference's "
        'free text, of which anything but an action means STOP.',
        choices=('constrained', 'published'),
    )
    threads: int = parameter(
        0, "Processor threads of the policy; 0: torch's own choice.", low=0, high=256
    )

    def __post_init__(self) -> None:
        """Raise ValueError for a width that no policy takes."""
        if self.image_width:
            check_image_width(self.image_width)

    @property
    def network(self) -> tuple[str, ...]:
        """Tell what the weights in memory are; policies that agree in it can share them."""
        return (
            self.checkpoint,
            self.adapter,
            self.device,
            self.dtype,
            self.language_weights,
            self.geometry_heads,
        )

    def memory(self) -> MemoryConfig:
        """Return what is remembered; ValueError for choices that contradict each other."""
        from janusvln_ros.policy.memory import MemoryConfig

        return MemoryConfig(
            mode=self.memory_mode,
            initial_frames=self.initial_frames,
            recent_frames=self.recent_frames,
            history_frames=self.history_frames,
            kept_fraction=self.kept_fraction,
            pruning=self.pruning,
        )


def check_image_width(pixels: int) -> None:
    """Raise ValueError for a width that is not whole patches, or too few."""
    if not isinstance(pixels, int) or pixels < 28 or pixels % 14:
        raise ValueError(
            f'image_width is {pixels}; a multiple of 14 pixels, at least 28, is needed'
        )
