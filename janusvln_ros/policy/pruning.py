"""
Token pruning of old frames: the slow memory of StreamVLN (arXiv 2507.05240), without depth.

StreamVLN keeps, of all tokens that fall into one voxel of space, the newest. Without depth the
same is asked of the features: a token of a frame is redundant as far as the frame after it shows
the same. So the tokens that stay are those least like any token of the next frame, by the cosine
of their fused embeddings (semantics and geometry; geometry tells same-looking places apart). The
two marks around an image always stay. The initial frames are never pruned.
"""

from __future__ import annotations

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
