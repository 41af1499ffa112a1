"""Golden data of the dense heads against ours: tokens, stages and maps of every frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from janusvln_ros.measurement.differences import Report
from janusvln_ros.measurement.goldens import read_frame, read_meta, tensors_of
from janusvln_ros.policy.context import (
    Context,
    FrameTables,
    geometry_memory,
    head_levels,
    language_memory,
)
from janusvln_ros.policy.graphs import StepGraphs
from janusvln_ros.policy.janus import as_geometry, JanusPolicy
from janusvln_ros.policy.memory import MemoryConfig
from janusvln_ros.policy.preprocessing import Grid, PATCH, patch_grid, resize
import numpy as np
from safetensors.torch import load_file
import torch
from torch import nn

REL_L2, ABSOLUTE = 1e-4, 2e-4  # of tokens and maps in float32
REDUCED_REL_L2 = 1e-2  # of maps, where the encoder runs in bfloat16
MAPS = ('depth', 'depth_conf', 'world_points', 'world_points_conf')


def is_depth_episode(folder: Path) -> bool:
    """Whether an episode folder holds what the heads computed, and no decisions."""
    return 'full_steps' in read_meta(folder)


@torch.inference_mode()
def run_depth_episode(
    folder: Path, device: str, dtype: str, progress: Callable[[], object] = lambda: None
) -> Report:
    """Run one episode folder; raises CheckpointError as the policy does."""
    meta = read_meta(folder)
    golden = load_file(folder / 'golden.safetensors')
    policy = JanusPolicy.from_pretrained(
        folder.parent.parent / 'checkpoint', device=device, dtype=dtype, geometry_heads='points'
    )
    memory = MemoryConfig('windowed', meta['cache_start_size'], meta['cache_recent_size'])
    width, height = meta['frame_size_wh']
    episode = _begin(policy, memory, (width, height), meta['target_size'])
    exact, report = dtype == 'float32', Report()
    limits = {'relative': REL_L2, 'absolute': ABSOLUTE} if exact else {'relative': REDUCED_REL_L2}
    rows = meta['token_rows']
    for step, expected in enumerate(meta['steps']):
        want, frame = tensors_of(golden, step), read_frame(folder, step)
        image = resize(frame, meta['target_size']) if meta['target_size'] else frame
        report.same('image_hw', [*image.shape[:2]], expected['image_hw'])
        with _recorded(policy) as seen, torch.backends.cudnn.flags(allow_tf32=False):
            episode.encode_geometry(torch.from_numpy(image)[None].to(policy.model.device))
            attended = len(episode.geometry.retained()) + 1
            maps = as_geometry(episode.predict_geometry().float().cpu().numpy())
        episode.geometry.commit()
        report.same('frames_attended', attended, expected['cache_frames_attended'])
        report.same('frames_kept', episode.geometry.retained(), expected['cache_frame_ids_after'])
        if exact:
            blocks = dict(enumerate(policy.model.config.geometry.head_layers))
            for level, block in blocks.items():
                tokens = torch.cat((seen[f'frame{block}'], seen[f'across{block}']), dim=-1).cpu()
                norms = want[f'level{level}_token_norm']
                report.close('token_norms', tokens.norm(dim=-1), norms, relative=REL_L2)
                report.close('tokens', tokens[rows], want[f'level{level}_rows'], relative=REL_L2)
            for name in filter(lambda name: name.startswith('stage.'), want):
                report.close('stages', seen[name], want[name], relative=REL_L2)
        full = expected['full_stride']
        for name, got in zip(MAPS, cast(tuple[np.ndarray, ...], maps), strict=True):
            report.same(f'{name}_shape', [*got.shape], expected[name]['shape'])
            stride = full or meta['slice_stride']
            some = torch.from_numpy(got[::stride, ::stride].copy())
            report.close(name, some, want[name if full else f'{name}_slice'], **limits)
        progress()
    return report


def _begin(
    policy: JanusPolicy, memory: MemoryConfig, size: tuple[int, int], width: int | None
) -> Context:
    """Begin an episode without decisions; frames (width, height) come as they are, or resized."""
    model, tree = policy.model, policy.tree
    grid = patch_grid(*size, width) if width else Grid(size[1] // PATCH, size[0] // PATCH)
    prompt = policy.encoder.prompt(policy.encoder.suffix('Go.'), grid)
    return Context(
        model,
        prompt,
        tree,
        FrameTables.of(model, size, grid),
        geometry_memory(model, grid, memory),
        language_memory(model, prompt, memory, len(tree.tokens)),
        memory,
        StepGraphs(compiled=False),
        head_levels(model, grid),
    )


@contextmanager
def _recorded(policy: JanusPolicy) -> Iterator[dict[str, torch.Tensor]]:
    """Give the blocks' tokens (P, 2C) and norms of the heads' stages by name, once they ran."""
    seen: dict[str, torch.Tensor] = {}
    aggregator, handles = policy.model.vggt.aggregator, []

    def note(module: nn.Module, name: str, kind: Callable[[torch.Tensor], torch.Tensor]) -> None:
        def hook(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
            seen[name] = kind(output)

        handles.append(module.register_forward_hook(hook))

    for block in aggregator.config.head_layers:
        frame, across = aggregator.frame_blocks[block], aggregator.global_blocks[block]
        note(frame, f'frame{block}', lambda x: x[0])
        note(across, f'across{block}', lambda x: x[0])
    for head, module in policy.model.heads.items():
        parts = {
            **{f'project{j}': module.projects[j] for j in range(4)},
            **{f'resize{j}': module.resize_layers[j] for j in range(4)},
            **{f'rn{j}': module.scratch[f'layer{j + 1}_rn'] for j in range(4)},
            **{f'fused{j}': module.scratch[f'refinenet{j + 1}'] for j in range(4)},
            'out1': module.scratch['output_conv1'],
            'raw': module.scratch['output_conv2'],
        }
        for name, part in parts.items():
            note(part, f'stage.{head}.{name}', lambda x: x[0].flatten(1).norm(dim=1).cpu())
        upsampled = f'stage.{head}.upsampled'
        handles.append(
            module.scratch['output_conv2'].register_forward_pre_hook(
                lambda module, inputs, name=upsampled: seen.update(
                    {name: inputs[0][0].flatten(1).norm(dim=1).cpu()}
                )
            )
        )
    try:
        with StepGraphs.eager():
            yield seen
    finally:
        for handle in handles:
            handle.remove()
