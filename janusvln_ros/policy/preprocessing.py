"""
Camera frame to the two encoders' pixels, bit for bit as the published pipeline does.

The frame is resized once; geometry sees it whole, vision without an odd last row or column of
patches.
"""

from __future__ import annotations

from typing import NamedTuple, TYPE_CHECKING, TypeVar

from janusvln_ros.policy.network.config import FULL_SIZE, VisionConfig
from janusvln_ros.policy.pinhole import PATCH, resized_height
import numpy as np
from PIL import Image

if TYPE_CHECKING:  # who only resizes needs no torch
    import torch

Picture = TypeVar('Picture', np.ndarray, 'torch.Tensor')

LEAST_PIXELS = 56 * 56  # below, Qwen's image processor would enlarge the image

GEOMETRY_MEAN, GEOMETRY_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet


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
    """Raise ValueError unless `rgb` is a uint8 array (H, W, 3) with pixels in it."""
    if (
        not isinstance(rgb, np.ndarray)
        or rgb.dtype != np.uint8
        or rgb.ndim != 3
        or rgb.shape[2] != 3
        or not rgb.size
    ):
        got = f'{rgb.dtype} {rgb.shape}' if isinstance(rgb, np.ndarray) else type(rgb).__name__
        raise ValueError(f'a frame is a uint8 array (H, W, 3), RGB, not empty; got {got}')


def resize(rgb: np.ndarray, image_width: int) -> np.ndarray:
    """Resize by PIL's antialiased bicubic and crop to the central rows: uint8 (h, w, 3)."""
    image = Image.fromarray(rgb)
    width, height = image.size
    new_size = image_width, resized_height(width, height, image_width)
    # one axis at a time: which one PIL takes first depends on its version
    first = (width, new_size[1]) if height_first(image.size, new_size) else (image_width, height)
    for size in (first, new_size):
        image = image.resize(size, Image.Resampling.BICUBIC)
    return crop(np.array(image), image_width)


def height_first(size: tuple[int, int], new_size: tuple[int, int]) -> bool:
    """
    Whether the height is resized before the width, between sizes (width, height).

    The rule is that of Pillow 13, by which the golden data were made; earlier ones take the width.
    Each axis rounds to uint8, so the order shows.
    """
    return size[1] - new_size[1] > max(0, 2 * (size[0] - new_size[0]))


def crop(image: Picture, image_width: int) -> Picture:
    """Keep the central rows of an image (h, w, 3) that is higher than wide."""
    top = max(0, (len(image) - image_width) // 2)
    return image[top : top + image_width]


class Normalisation:
    """Colour statistics of the two encoders on a device."""

    def __init__(self, device: torch.device, vision: VisionConfig = FULL_SIZE.vision) -> None:
        import torch

        def column(values: tuple[float, ...]) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device).view(3, 1, 1)

        # a tensor: by a number, CUDA multiplies with the reciprocal, which is not bit-equal
        self._most = torch.tensor(255.0, device=device)
        self._geometry = column(GEOMETRY_MEAN), column(GEOMETRY_STD)
        self._vision = column(vision.image_mean), column(vision.image_std)

    def pixels(self, images: torch.Tensor) -> torch.Tensor:
        """Return resized frames, uint8 (B, h, w, 3), as float32 (B, 3, h, w) in [0, 1]."""
        return images.permute(0, 3, 1, 2).float() / self._most

    def geometry(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the geometry encoder's input, (B, 3, h, w)."""
        mean, std = self._geometry
        return (pixels - mean) / std

    def patches(self, pixels: torch.Tensor) -> torch.Tensor:
        """
        Return the patches that vision sees, by 2 x 2 groups: (B, patches, 3, 196).

        A patch is (channel, y and x).
        """
        mean, std = self._vision
        rows, columns = (side // PATCH // 2 for side in pixels.shape[2:])
        pixels = (pixels[..., : rows * 2 * PATCH, : columns * 2 * PATCH] - mean) / std
        patches = pixels.reshape(-1, 3, rows, 2, PATCH, columns, 2, PATCH)
        patches = patches.permute(0, 2, 5, 3, 6, 1, 4, 7)
        return patches.reshape(-1, rows * columns * 4, 3, PATCH**2)

    def vision(self, pixels: torch.Tensor) -> torch.Tensor:
        """
        Return the vision tower's input, (B, patches, 1176).

        A row is (channel, time, y, x) of a patch, the frame standing for both times.
        """
        return self.patches(pixels).unsqueeze(3).expand(-1, -1, -1, 2, -1).flatten(2)
