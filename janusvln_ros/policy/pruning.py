"""
Token pruning of old frames: the slow memory of StreamVLN (arXiv 2507.05240), by two rules.

StreamVLN keeps, of all tokens that fall into one voxel of space, the newest. `VoxelPruner` does
so: a token goes where a newer frame shows something within a cube around its place. The cube is
as large as it has to be for the wanted number of tokens to stay, so it needs no unit of length.

Without depth `TokenPruner` asks the same of the features: a token of a frame is redundant as far
as the frame after it shows the same. So the tokens that stay are those least like any token of
the next frame, by the cosine of their fused embeddings (semantics and geometry; geometry tells
same-looking places apart).

The two marks around an image always stay. The initial frames are never pruned.
"""

from __future__ import annotations

from janusvln_ros.policy.preprocessing import Grid, PATCH
import numpy as np
import torch
from torch.nn import functional


def kept_tokens(image_tokens: int, fraction: float) -> int:
    """Tokens of a pruned frame's block: the fraction of its image tokens, and the marks."""
    return round(image_tokens * fraction) + 2


def redundancy(frame: torch.Tensor, following: torch.Tensor) -> torch.Tensor:
    """
    Tell how much the following frame shows of each token: the largest cosine, (M) float32.

    frame, following: fused embeddings (M, hidden).
    """
    frame, following = (functional.normalize(x.float(), dim=-1) for x in (frame, following))
    return (frame @ following.T).amax(dim=1)


class TokenPruner:
    """Chooses, for every frame of an episode, the tokens that stay once it is old."""

    def __init__(
        self,
        newest: int,
        kept: int,
        tokens: int,
        hidden: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """
        Allocate for the choices of the `newest` frames.

        kept: tokens that stay of a block, marks included (`kept_tokens`). tokens: M, of an image.
        """
        self.newest, self.kept = newest, kept
        self._choices = torch.zeros(newest, kept, dtype=torch.int64, device=device)
        self._choices[:, -1] = tokens + 1  # the mark behind the image; the one before is token 0
        self._last = torch.zeros(tokens, hidden, dtype=dtype, device=device)

    @property
    def nbytes(self) -> int:
        """Bytes of all storage."""
        return self._choices.nbytes + self._last.nbytes

    def observe(self, frame: int, fused: torch.Tensor) -> torch.Tensor:
        """
        Take in the fused embeddings (M, hidden) of the frame with the given number.

        Returns which tokens of the block stay, (kept) int64 in rising order, of the frame that is
        no longer among the newest; without meaning while there is none.
        """
        if frame:
            least = redundancy(self._last, fused).topk(self.kept - 2, largest=False).indices
            self._choices[(frame - 1) % self.newest, 1:-1] = least.sort().values + 1
        self._last.copy_(fused)
        return self._choices[frame % self.newest]


class VoxelPruner:
    """Chooses as `TokenPruner` does, by where in space the tokens lie."""

    def __init__(self, newest: int, kept: int, grid: Grid, device: torch.device) -> None:
        """Allocate for the `newest` frames and the one that grows old; kept: of a block."""
        self.newest, self.kept = newest, kept
        shape = newest + 1, grid.rows * grid.columns, 3
        self._patches = torch.full(shape, torch.nan, device=device)
        self._tokens = torch.full((newest + 1, grid.tokens, 3), torch.nan, device=device)
        self._marks = torch.tensor([0, grid.tokens + 1], device=device)

    @property
    def nbytes(self) -> int:
        """Bytes of all storage."""
        return self._patches.nbytes + self._tokens.nbytes

    def observe(self, frame: int, points: np.ndarray) -> torch.Tensor:
        """
        Take in what the pixels of the frame with the given number show.

        points: (H, W, 3), in a frame that stays for an episode; NaN: not known, so nothing newer
        shows it. Returns what `TokenPruner.observe` does.
        """
        place, half = frame % (self.newest + 1), PATCH // 2
        for store, middle in ((self._patches, half), (self._tokens, PATCH)):
            seen = points[middle :: 2 * middle, middle :: 2 * middle].reshape(-1, 3)
            store[place] = torch.from_numpy(seen.astype(np.float32))
        old = (place + 1) % (self.newest + 1)
        newer = torch.cat((self._patches[:old], self._patches[old + 1 :])).flatten(0, 1)
        own, newer = (  # what is not known is far from everything
            torch.where(x.isfinite(), x, far)
            for x, far in ((self._tokens[old], torch.inf), (newer, -torch.inf))
        )
        least = torch.cdist(own, newer, p=torch.inf).amin(dim=1)
        stay = least.topk(self.kept - 2).indices + 1
        return torch.cat((self._marks, stay)).sort().values
