"""
Camera frame to the two encoders' pixels, bit for bit as the published pipeline does.

The frame is resized once; geometry sees it whole, vision without an odd last row or column of
patches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image
import torch

PATCH = 14  # pixels
LEAST_PIXELS = 56 * 56  # below, Qwen's image processor would enlarge the image

GEOMETRY_MEAN, GEOMETRY_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet
VISION_MEAN, VISION_STD = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)  # CLIP


class Grid(NamedTuple):
    """Patches of the resized frame: all for geometry, an even number of each for vision."""

    rows: int
    columns: int

    @property
    def vision(self) -> tuple[int, int]:
        """Rows and columns of the patches that vision sees, both even."""
        return self.rows // 2 * 2, self.columns // 2 * 2

    @property
    def merged(self) -> tuple[int, int]:
        """Rows and columns of the tokens of the language model."""
        return self.rows // 2, self.columns // 2

    @property
    def tokens(self) -> int:
        """Tokens of the language model for one image."""
        return self.merged[0] * self.merged[1]


def resized_height(width: int, height: int, image_width: int) -> int:
    """
    Height in pixels of a frame (width, height) resized to `image_width`, before it is cropped.

    The order of operations matters: 640 x 480 gives 490 at width 644, by 34.50000000000001
    patches.
    """
    return PATCH * round((height * (image_width / width)) / PATCH)


def patch_grid(width: int, height: int, image_width: int) -> Grid:
    """Patch grid of a frame (width, height); ValueError when the frame is too flat to be seen."""
    grid = Grid(
        min(resized_height(width, height, image_width), image_width) // PATCH, image_width // PATCH
    )
    if grid.vision[0] * grid.vision[1] * PATCH**2 < LEAST_PIXELS:
        raise ValueError(
            f'a frame of {width} x {height} pixels becomes {grid.columns} x {grid.rows} patches '
            f'at image width {image_width}; at least {LEAST_PIXELS} pixels are needed'
        )
    return grid


def check_frame(rgb: np.ndarray) -> None:
    """Raise ValueError unless `rgb` is a uint8 array (H, W, 3)."""
    if (
        not isinstance(rgb, np.ndarray)
        or rgb.dtype != np.uint8
        or rgb.ndim != 3
        or rgb.shape[2] != 3
    ):
        got = f'{rgb.dtype} {rgb.shape}' if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise ValueError(f'a frame is a uint8 array (H, W, 3), RGB; got {got}')


def resize(rgb: np.ndarray, image_width: int) -> np.ndarray:
    """Resize by PIL's antialiased bicubic and crop to the central rows: uint8 (h, w, 3)."""
    height = resized_height(rgb.shape[1], rgb.shape[0], image_width)
    image = np.array(Image.fromarray(rgb).resize((image_width, height), Image.Resampling.BICUBIC))
    return crop(image, image_width)


def crop(image: np.ndarray | torch.Tensor, image_width: int) -> np.ndarray | torch.Tensor:
    """Keep the central rows of an image (h, w, 3) that is higher than wide."""
    top = max(0, (len(image) - image_width) // 2)
    return image[top : top + image_width]


class Normalisation:
    """Colour statistics of the two encoders on a device."""

    def __init__(
        self,
        device: torch.device,
        vision_mean: tuple[float, ...] = VISION_MEAN,
        vision_std: tuple[float, ...] = VISION_STD,
    ) -> None:
        def column(values: tuple[float, ...]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device).view(3, 1, 1)

        # a tensor: by a number, CUDA multiplies with the reciprocal, which is not bit-equal
        self._most = torch.tensor(255.0, device=device)
        self._geometry = column(GEOMETRY_MEAN), column(GEOMETRY_STD)
        self._vision = column(vision_mean), column(vision_std)

    def pixels(self, image: torch.Tensor) -> torch.Tensor:
        """Return a resized frame, uint8 (h, w, 3), as float32 (3, h, w) in [0, 1]."""
        return image.permute(2, 0, 1).float() / self._most

    def geometry(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the geometry encoder's input, (1, 3, h, w)."""
        mean, std = self._geometry
        return ((pixels - mean) / std)[None]

    def vision(self, pixels: torch.Tensor) -> torch.Tensor:
        """
        Return the vision tower's input, (1, patches, 1176).

        A row is (channel, time, y, x) of a patch, the frame standing for both times; the rows go
        by 2 x 2 groups.
        """
        mean, std = self._vision
        rows, columns = (side // PATCH // 2 for side in pixels.shape[1:])
        pixels = (pixels[:, : rows * 2 * PATCH, : columns * 2 * PATCH] - mean) / std
        patches = pixels.view(3, rows, 2, PATCH, columns, 2, PATCH).permute(1, 4, 2, 5, 0, 3, 6)
        patches = patches.unsqueeze(5).expand(-1, -1, -1, -1, -1, 2, -1, -1)
        return patches.reshape(1, rows * columns * 4, 6 * PATCH**2)
