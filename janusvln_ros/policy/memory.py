"""
Dual implicit memory: keys and values of the initial and the latest frames, in fixed storage.

Paper, section 3.3 (hybrid incremental update): "the initial and sliding window". Both encoders use
`KeyValueMemory`; `FeatureMemory` keeps the vision features that the `sampled` mode comes back to.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from janusvln_ros.policy.network.layers import rotate
from janusvln_ros.policy.network.regions import Region
import torch


@dataclass(frozen=True)
class MemoryConfig:
    """
    What is remembered of an episode.

    mode: 'sampled', the released model: geometry in a window, semantics as `history_frames` evenly
    sampled past frames; 'windowed', the paper: both encoders keep the first `initial_frames` and
    the last `recent_frames`. resident_frames: vision features kept on the device in `sampled`
    mode; older ones wait in host memory. kept_fraction: of the image tokens of recent frames older
    than the newest `whole_frames`, the language model keeps this part (`windowed` mode only); 1 is
    no pruning. pruning: the rule, 'features' or 'voxels' (see `janusvln_ros.policy.pruning`).
    """

    mode: str = 'sampled'
    initial_frames: int = 8
    recent_frames: int = 48
    history_frames: int = 8
    resident_frames: int = 64
    whole_frames: int = 16
    kept_fraction: float = 1.0
    pruning: str = 'features'

    def __post_init__(self) -> None:
        if self.mode not in ('sampled', 'windowed'):
            raise ValueError(f"memory mode {self.mode!r} is not 'sampled' or 'windowed'")
        for name, least in (
            ('initial_frames', 0),
            ('recent_frames', 0),
            ('history_frames', 1),
            ('resident_frames', 1),
            ('whole_frames', 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(f'{name} is {getattr(self, name)}; at least {least} is needed')
        if self.initial_frames + self.recent_frames < 1:
            raise ValueError(
                'initial_frames and recent_frames are both 0: nothing would be remembered'
            )
        if not 0 <= self.kept_fraction <= 1:
            raise ValueError(f'kept_fraction is {self.kept_fraction}; from 0 to 1 is needed')
        if self.pruning not in ('features', 'voxels'):
            raise ValueError(f"pruning {self.pruning!r} is not 'features' or 'voxels'")
        if self.prunes and self.mode != 'windowed':
            raise ValueError("kept_fraction below 1 prunes tokens: it needs mode 'windowed'")

    @property
    def prunes(self) -> bool:
        """Whether old frames lose tokens."""
        return self.kept_fraction < 1 and self.whole_frames < self.recent_frames

    @property
    def needs_places(self) -> bool:
        """Whether old frames lose tokens by where in space these lie."""
        return self.prunes and self.pruning == 'voxels'


class KeyValueMemory:
    """
    Keys and values of all layers: pinned | initial | ring of recent | new frame | scratch.

    Everything attended at a step lies in one piece, with the new frame and what follows it at the
    end, so attention reads in place and causal masks stay simple. A step writes behind the
    retained frames (`room`); `commit` then moves the new frame over the one it evicts. Nothing
    is allocated after construction.

    With pruning the ring of recent frames is two: the newest `whole`, and behind it the older ones
    with `aged_tokens` each. A frame passes from the one into the other when it grows old.
    """

    def __init__(
        self,
        *,
        layers: int,
        heads: int,
        head_dim: int,
        frame_tokens: int = 0,
        initial: int = 0,
        recent: int = 0,
        whole: int | None = None,
        aged_tokens: int = 0,
        pinned: int = 0,
        scratch: int = 0,
        movable: bool = False,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """
        Allocate for `initial` + `recent` retained frames of `frame_tokens` tokens each.

        whole: recent frames that keep all their tokens, by default all; the others keep
        `aged_tokens`. pinned: tokens ahead of the first frame, kept for ever; they come with the
        first frame. scratch: tokens that may follow the new frame within a step. movable: keep a
        second copy of the keys of pinned and initial tokens, for `move_anchors`.
        """
        self.frame_tokens, self.initial, self.recent = frame_tokens, initial, recent
        self.whole = recent if whole is None else whole
        self.aged_tokens, self.pinned, self.scratch = aged_tokens, pinned, scratch
        retained = (initial + self.whole) * frame_tokens + (recent - self.whole) * aged_tokens
        tokens = pinned + retained + frame_tokens + scratch
        self.keys = torch.zeros(layers, heads, tokens, head_dim, dtype=dtype, device=device)
        self.values = torch.zeros_like(self.keys)
        anchors = pinned + initial * frame_tokens if movable else 0
        self.anchors = torch.zeros(layers, heads, anchors, head_dim, dtype=dtype, device=device)
        self.seen = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all storage."""
        return sum(t.nbytes for t in (self.keys, self.values, self.anchors))

    @property
    def capacity(self) -> int:
        """Frames retained at most."""
        return self.initial + self.recent

    @property
    def evicted(self) -> int:
        """Frames forgotten so far."""
        return max(0, self.seen - self.capacity)

    @property
    def end(self) -> int:
        """Token behind the retained frames, where the next step writes."""
        if not self.seen:
            return 0
        frames = min(self.seen, self.capacity)
        whole = min(frames, self.initial + self.whole)
        return self.pinned + whole * self.frame_tokens + (frames - whole) * self.aged_tokens

    def retained(self) -> list[int]:
        """Numbers of the retained frames, in order of time."""
        recent = max(min(self.initial, self.seen), self.seen - self.recent)
        return [*range(min(self.initial, self.seen)), *range(recent, self.seen)]

    def clear(self) -> None:
        """Forget everything; storage stays."""
        self.seen = 0

    def room(self, layer: int, count: int, offset: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Give keys and values (1, heads, S, head_dim), of which the last `count` are to be written.

        They are views; what is to be written is `offset` tokens behind the retained frames.
        """
        stop = self.end + offset + count
        return self.keys[layer, None, :, :stop], self.values[layer, None, :, :stop]

    def commit(self, kept: torch.Tensor | None = None) -> None:
        """
        Retain the new frame: where there is room it stays, else it overwrites the oldest.

        kept: (aged_tokens) int64, in rising order, on the device: which tokens stay of the frame
        that grows old with this one; needed where `whole` is less than `recent`.
        """
        recent = self.seen - self.initial  # number of the new frame among those after the initial
        if recent >= self.whole > 0:
            new = slice(self.end, self.end + self.frame_tokens)
            start = self.pinned + (self.initial + recent % self.whole) * self.frame_tokens
            oldest = slice(start, start + self.frame_tokens)
            aged = self.recent - self.whole
            start = self.pinned + (self.initial + self.whole) * self.frame_tokens
            start += (recent - self.whole) % aged * self.aged_tokens if aged else 0
            for store in (self.keys, self.values):
                if aged:
                    assert kept is not None
                    left = store[:, :, oldest].index_select(2, kept)
                store[:, :, oldest] = store[:, :, new]
                if aged:
                    store[:, :, start : start + self.aged_tokens] = left
        self.seen += 1
        anchors = self.anchors.shape[2]
        if anchors and self.seen == self.capacity:
            self.anchors.copy_(self.keys[:, :, :anchors])

    def move_anchors(self, cos: torch.Tensor, sin: torch.Tensor) -> None:
        """
        Turn the keys of pinned and initial tokens on from where they were first put.

        cos, sin: (head_dim / 2) float32 of the whole turn since then.
        """
        for layer, anchors in enumerate(self.anchors):  # all at once takes much work space
            _rotate_to(self.keys[layer, :, : anchors.shape[1]], anchors, cos, sin)


@Region
def _rotate_to(out: torch.Tensor, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    out.copy_(rotate(x, cos, sin))


class FeatureMemory:
    """
    Vision features of every frame: all of them in host memory, the latest used on the device.

    On the CPU there is one copy only.
    """

    def __init__(self, resident: int, device: torch.device) -> None:
        self.resident, self.device = resident, device
        self._host: list[torch.Tensor] = []
        self._device: OrderedDict[int, torch.Tensor] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Bytes of all features, on the device and in host memory."""
        return sum(t.nbytes for t in (*self._host, *self._device.values()))

    def keep(self, frame: int, features: torch.Tensor) -> None:
        """Keep the features (M, hidden) of the frame after the last, or of the last anew."""
        del self._host[frame:]
        if self.device.type != 'cuda':
            self._host.append(features)
            return
        host = torch.empty(features.shape, dtype=features.dtype, pin_memory=True)
        host.copy_(features, non_blocking=True)
        self._host.append(host)
        self._remember(frame, features)

    def gather(self, frames: list[int]) -> torch.Tensor:
        """Return the features of the given frames: (N, M, hidden), on the device."""
        if self.device.type != 'cuda':
            return torch.stack([self._host[frame] for frame in frames])
        return torch.stack([self._remember(frame, self._device.get(frame)) for frame in frames])

    def _remember(self, frame: int, features: torch.Tensor | None) -> torch.Tensor:
        if features is None:
            features = self._host[frame].to(self.device, non_blocking=True)
        self._device[frame] = features
        self._device.move_to_end(frame)
        if len(self._device) > self.resident:
            self._device.popitem(last=False)
        return features
