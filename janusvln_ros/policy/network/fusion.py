"""Fusion of geometry into semantics: F = S + lam * MLP(G) (paper, equation 4)."""

from __future__ import annotations

from janusvln_ros.policy.network.semantics import PatchMerger
import torch


class GeometryMerger(PatchMerger):
    """MLP(G): geometry features of 2 x 2 patches to one token of the language model."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """
        Merge geometry features (B, rows, columns, 2C) to (B, M, hidden), row-major.

        An odd last row or column of the patch grid is dropped, as it is for vision.
        """
        rows, columns = x.shape[1:3]
        grid = x[:, : rows // 2 * 2, : columns // 2 * 2].to(self.ln_q.weight.dtype)
        groups = grid.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).transpose(2, 3)
        return super().forward(groups.flatten(1, 4))


def fuse(semantics: torch.Tensor, geometry: torch.Tensor, lam: float) -> torch.Tensor:
    """
    Add one frame's geometry (B, M, hidden) to the semantics of images (N, M, hidden).

    B is 1 (the current frame's geometry goes to every image: the released model) or N (each its
    own: paper).
    """
    return semantics + lam * geometry
