"""
JanusPolicy: camera frames and an instruction in, actions out.

    policy = JanusPolicy.from_pretrained('checkpoint', device='cuda', dtype='bfloat16')
    policy.reset('Walk past the table and stop at the door.')
    decision = policy.step(rgb)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
import time

from janusvln_ros.actions import Action
from janusvln_ros.policy.context import (
    Context,
    FrameTables,
    geometry_memory,
    head_levels,
    language_memory,
    SampledContext,
    scratch_tokens,
    WindowedContext,
)
from janusvln_ros.policy.decoding import AnswerTree, read_repetition_penalty
from janusvln_ros.policy.graphs import StepGraphs
from janusvln_ros.policy.interface import Decision, FrameGeometry, GeometryInHeights, MemoryUsage
from janusvln_ros.policy.load import choose_device, choose_dtype
from janusvln_ros.policy.memory import KeyValueMemory, MemoryConfig
from janusvln_ros.policy.network import checkpoint
from janusvln_ros.policy.network.adapter import read_adapter
from janusvln_ros.policy.network.config import JanusConfig
from janusvln_ros.policy.network.heads import HEADS_OF, Levels
from janusvln_ros.policy.network.layers import GatedMLP
from janusvln_ros.policy.network.model import JanusModel
from janusvln_ros.policy.network.quantization import KINDS
from janusvln_ros.policy.network.regions import why_plain
from janusvln_ros.policy.options import check_image_width
from janusvln_ros.policy.preprocessing import check_frame, patch_grid
from janusvln_ros.policy.prompt import check_tokens, PromptEncoder
from janusvln_ros.policy.resampling import FrameUpload
from janusvln_ros.turns import turn
import numpy as np
import torch

Place = Callable[[FrameGeometry], np.ndarray]
EMBEDDINGS = 'model.embed_tokens.weight'  # looked up once per episode, so host memory is enough


class Stopwatch:
    """Times the parts of a step without waiting for the device in between."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == 'cuda'
        self._parts: list[str] = []
        self._events: list[torch.cuda.Event] = []
        self._times: list[float] = []
        self.lap('begin')

    def lap(self, part: str) -> None:
        """End a part."""
        self._parts.append(part)
        if self._cuda:
            self._events.append(torch.cuda.Event(enable_timing=True))
            self._events[-1].record()
        else:
            self._times.append(time.perf_counter())

    def seconds(self) -> dict[str, float]:
        """Seconds of each part; waits for the end of the last."""
        if self._cuda:
            self._events[-1].synchronize()
            spans = [a.elapsed_time(b) / 1000 for a, b in zip(self._events, self._events[1:])]
        else:
            spans = [b - a for a, b in zip(self._times, self._times[1:])]
        return dict(zip(self._parts[1:], spans))


class JanusPolicy:
    """
    The dual-encoder policy; one episode at a time.

    Policies may share a model, and be called from different threads: they take turns.
    """

    def __init__(
        self,
        model: JanusModel,
        encoder: PromptEncoder,
        *,
        image_width: int,
        memory: MemoryConfig,
        decoding: str,
        repetition_penalty: float,
        place: Place | None = None,
    ) -> None:
        if decoding not in ('constrained', 'published'):
            raise ValueError(f"decoding {decoding!r} is not 'constrained' or 'published'")
        check_image_width(image_width)
        if not isinstance(memory, MemoryConfig):
            raise TypeError(
                f"memory is a MemoryConfig, as MemoryConfig('windowed'); got {memory!r}"
            )
        if memory.needs_places and 'point_head' not in model.heads and not (model.heads and place):
            raise ValueError(
                "pruning 'voxels' needs places: load with geometry_heads 'points', or 'depth' and "
                'a function that places it'
            )
        self._place = place
        self._cuda = model.device.type == 'cuda'
        if self._cuda:
            for module in model.visual.modules():
                if isinstance(module, GatedMLP):
                    module.join(multiple=128)
        self.why_plain = why_plain(model.device)  # nothing is compiled; '' where it is
        self.model = model.eval().requires_grad_(False)
        self.encoder = encoder
        self.tree = AnswerTree(encoder, model.device)
        self.image_width, self.memory, self.decoding = image_width, memory, decoding
        self.repetition_penalty = repetition_penalty
        self._suffix: tuple[int, ...] | None = None
        self._tables: FrameTables | None = None
        self._geometry_memory: KeyValueMemory | None = None  # storage, from episode to episode
        self._language_memory: KeyValueMemory | None = None
        self._levels: Levels | None = None
        self._graphs = StepGraphs(not self.why_plain)
        self._rehearsed: tuple[StepGraphs, int] | None = None  # and tokens of the suffix
        self._upload: FrameUpload  # made with the tables
        self.episode: Context | None = None  # from the first frame on

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        device: str | torch.device = 'auto',
        dtype: str | torch.dtype = 'auto',
        image_width: int | None = None,
        memory: MemoryConfig = MemoryConfig(),  # noqa: B008, frozen
        decoding: str = 'constrained',
        language_weights: str | None = None,
        geometry_heads: str = 'none',
        model: JanusModel | None = None,
        adapter: str | Path | None = None,
        place: Place | None = None,
    ) -> JanusPolicy:
        """
        Load a checkpoint in the published layout.

        device: 'auto' is the GPU of this process's rank (LOCAL_RANK) if there is one. dtype:
        'auto' is bfloat16 on CUDA, float32 on a CPU. image_width: pixels, by default the
        checkpoint's `image_width`, else 644. decoding: 'constrained' to the four answers, or
        'published', the reference's free text, of which anything but an action means STOP.
        language_weights: 'int8', 'fp8' or 'int4' quantise the language model's; torchao does it.
        geometry_heads: 'depth' or 'points' (and depth) load these heads too, for `step`.
        model: the network of another policy of this checkpoint, to be shared.
        adapter: folder of a low-rank adapter in PEFT's layout, added to the weights.
        place: for pruning by voxels without the point head: gives what a frame's pixels show,
        (H, W, 3) in any frame that stays for an episode, NaN where it is not known.
        Raises CheckpointError for a folder that is missing, partial or foreign.
        """
        if language_weights not in (None, *KINDS):
            raise ValueError(f'language_weights {language_weights!r}: neither None nor in {KINDS}')
        if geometry_heads not in HEADS_OF:
            raise ValueError(f'geometry_heads {geometry_heads!r}: not in {tuple(HEADS_OF)}')
        config = JanusConfig.from_folder(path)
        device = choose_device(device)
        dtype = choose_dtype(dtype, device)
        encoder = PromptEncoder(path)
        check_tokens(encoder, config, str(path))
        if model is None:
            host = frozenset({EMBEDDINGS})
            heads = HEADS_OF[geometry_heads]
            added = read_adapter(adapter) if adapter is not None else None
            model = checkpoint.load(
                path, config, device, dtype, language_weights, host, heads, added
            )
        return cls(
            model,
            encoder,
            image_width=image_width or config.image_width,
            memory=memory,
            decoding=decoding,
            repetition_penalty=read_repetition_penalty(path),
            place=place,
        )

    @property
    def random_weights(self) -> bool:
        """Whether the checkpoint says its weights are random, so that decisions mean nothing."""
        return self.model.config.random_weights

    def warm_up(self, frame_size: tuple[int, int]) -> str:
        """
        Compile and record for frames (width, height), which ends an episode; say what was done.

        For another size, or without this call, an episode's first step does it.
        """
        if not self._cuda:
            return f'steps run as they are: {self.why_plain}'
        begun, frame = time.monotonic(), np.zeros((*frame_size[::-1], 3), np.uint8)
        for instruction in ('Go.', 'Go to the door.'):  # two lengths: then others are known
            self.reset(instruction)
            self.step(frame)
            self.step(frame)
        self._suffix = self.episode = None
        how = f'not compiled ({self.why_plain})' if self.why_plain else 'compiled'
        return f'{how}, recorded for frames of {frame_size} in {time.monotonic() - begun:.1f} s'

    @turn()
    @torch.inference_mode()
    def reset(self, instruction: str) -> None:
        """
        Begin a new episode: both memories are empty.

        Raises TypeError for what is no text, ValueError for text that is not Unicode or too long.
        """
        self._suffix = self.encoder.suffix(instruction)
        self.episode = None
        if self._cuda and self._tables is not None:
            # records, before a frame waits for it
            self._begin(self._suffix, self._tables.frame_size)

    def unknown_words(self, instruction: str) -> list[str]:
        """Give the words of an instruction that the checkpoint's training never had."""
        return self.encoder.unknown_words(instruction)

    def memory_usage(self) -> MemoryUsage:
        """Tell how full the memory is; zeros before an episode's first frame."""
        if self.episode is None:
            return MemoryUsage(0, self.memory.initial_frames + self.memory.recent_frames, 0)
        geometry = self.episode.geometry
        return MemoryUsage(len(geometry.retained()), geometry.capacity, self.episode.nbytes)

    @turn()
    @torch.inference_mode()
    def step(self, rgb: np.ndarray, geometry: bool = False) -> Decision:
        """
        Decide on the next frame, uint8 (H, W, 3), RGB; with `geometry` tell its depth as well.

        Raises ValueError for anything else, for a frame of another size than the episode's first,
        and for geometry without the heads, RuntimeError without a `reset` before.
        """
        check_frame(rgb)
        if geometry and not self.model.heads:
            raise ValueError("geometry needs heads: load with geometry_heads 'depth' or 'points'")
        if self._suffix is None:
            raise RuntimeError('step before reset: call reset(instruction) to begin an episode')
        size = rgb.shape[1], rgb.shape[0]
        if self.episode is None:
            self.episode = self._begin(self._suffix, size)
        elif size != self.episode.tables.frame_size:
            first = self.episode.tables.frame_size
            raise ValueError(
                f'the frame is {size[0]} x {size[1]} pixels, but the episode began with '
                f'{first[0]} x {first[1]}; call reset to change the size'
            )
        episode, watch = self.episode, Stopwatch(self.model.device)
        logits, answers = self._look(episode, self._upload(rgb), watch)
        log_probabilities, edges, next_logits = self.tree.split(answers.cpu())
        seen = episode.prompt.vocabulary
        if self.decoding == 'constrained':
            action, generation = self.tree.constrained(edges, seen, self.repetition_penalty)
        else:
            action, generation = self.tree.published(
                logits.cpu(),
                seen,
                self.repetition_penalty,
                lambda tokens: episode.decode(tokens).cpu(),
            )
        watch.lap('decode')
        seen_geometry = points = None
        if geometry or self.memory.needs_places:
            seen_geometry = as_geometry(episode.predict_geometry().cpu().numpy())
            if self.model.config.geometry.depth_in_heights:
                seen_geometry = GeometryInHeights(*seen_geometry)
            watch.lap('heads')
        if seen_geometry is not None and self.memory.needs_places:
            points = self._place(seen_geometry) if self._place else seen_geometry.points
        episode.commit(points)
        return Decision(
            action=action,
            probabilities=dict(zip(Action, log_probabilities.softmax(0).tolist())),
            log_probabilities=dict(zip(Action, log_probabilities.tolist())),
            logits=next_logits,
            text=self.tree.text(generation),
            generation=generation,
            timings=watch.seconds(),
            geometry=seen_geometry if geometry else None,
        )

    def _look(
        self, episode: Context, frame: torch.Tensor, watch: Stopwatch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Read a frame of `FrameUpload`: logits (1 + tree, vocab), `AnswerTree.gather` of them."""
        image = self._graphs.run('resize', None, self._upload.resize, frame)[None]
        watch.lap('preprocess')
        geometry = episode.encode_geometry(image)
        watch.lap('geometry')
        semantics = episode.encode_vision(image)
        watch.lap('vision')
        logits = episode.prefill(semantics, geometry)
        watch.lap('prefill')
        return logits, self._graphs.run('answers', None, self.tree.gather, logits)

    def _begin(self, suffix: tuple[int, ...], size: tuple[int, int]) -> Context:
        """Begin an episode with frames (width, height); tables and storage stay where they fit."""
        grid = patch_grid(*size, self.image_width)
        prompt = self.encoder.prompt(suffix, grid)
        tables = self._tables
        if self._geometry_memory is None or tables is None or tables.frame_size != size:
            self._geometry_memory = self._language_memory = None  # freed first
            self._tables = FrameTables.of(self.model, size, grid)
            self._upload = FrameUpload(size, self.image_width, self.model.device)
            self._graphs = StepGraphs(not self.why_plain)
            self._geometry_memory = geometry_memory(self.model, grid, self.memory)
            self._levels = head_levels(self.model, grid)
        scratch = scratch_tokens(prompt, self.memory, len(self.tree.tokens))
        if self._language_memory is None or self._language_memory.scratch < scratch:
            self._language_memory = None
            self._graphs = StepGraphs(not self.why_plain)
            self._language_memory = language_memory(
                self.model, prompt, self.memory, len(self.tree.tokens)
            )
        kind = SampledContext if self.memory.mode == 'sampled' else WindowedContext
        begin = partial(
            kind,
            self.model,
            prompt,
            self.tree,
            self._tables,
            self._geometry_memory,
            self._language_memory,
            self.memory,
            self._graphs,
            self._levels,
        )
        to_rehearse = self._graphs, len(prompt.suffix)
        if self._cuda and StepGraphs.replaying and self._rehearsed != to_rehearse:
            episode, frame = begin(), np.zeros((*size[::-1], 3), np.uint8)
            episode.pretend_full()
            self._graphs.recording = True
            try:
                self._look(episode, self._upload(frame), Stopwatch(self.model.device))
                if self.model.heads:
                    episode.predict_geometry()
            finally:
                self._graphs.recording = False
            self._rehearsed = to_rehearse
        return begin()


def as_geometry(channels: np.ndarray) -> FrameGeometry:
    """Name the channels (n, H, W) of `Context.predict_geometry`."""
    depth, confidence, *more = channels
    if not more:
        return FrameGeometry(depth, confidence)
    return FrameGeometry(depth, confidence, channels[2:5].transpose(1, 2, 0), channels[5])
