"""
Short tours of random houses, drawn and labelled: what the two encoders are pre-trained on.

A tour is a few frames with one to three actions between them, so the geometry encoder can learn
how the camera moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
import math
from pathlib import Path

from janusvln_ros.actions import FORWARD_STEP, TURN_STEP
from janusvln_ros.episodes.grammar import TRAINING_PAIRS
from janusvln_ros.policy.preprocessing import resize
from janusvln_ros.sim.camera import CameraModel, random_camera
from janusvln_ros.sim.free_space import FreeSpace
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.renderer import Renderer
from janusvln_ros.training.data.labels import (
    COLUMNS,
    PATCH_COLUMNS,
    PATCH_ROWS,
    ROWS,
    Surroundings,
)
from janusvln_ros.workers import in_processes
import numpy as np
from numpy.lib.format import open_memmap
from tqdm import tqdm

FRAMES = 6  # of a tour
TOURS = 2  # in a house
HEIGHT, WIDTH = 84, 112  # pixels


def write_views(
    folder: Path, *, tours: int, seed: int, rooms: tuple[int, int], processes: int = 1
) -> None:
    """
    Draw tours into memory-mapped arrays in `folder`.

    rgb.npy uint8 (tours, 6, 84, 112, 3); depth.npy float16 (tours, 6, 48), metres;
    rays.npy uint8 (tours, 6, 24, 32), the class that each meets, or 255; motion.npy float16
    (tours, 6, 3): metres ahead and to the left, radians to the left since the frame before.
    done.npy bool (tours,): an interrupted run goes on where it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = _arrays(folder, tours)
    houses = [
        house
        for house in range(tours // TOURS)
        if not arrays['done'][house * TOURS : (house + 1) * TOURS].all()
    ]
    with tqdm(
        desc='houses', total=tours // TOURS, initial=tours // TOURS - len(houses), mininterval=5
    ) as bar:
        for _ in in_processes(houses, _drawing, folder, tours, seed, rooms, processes=processes):
            bar.update()


def _arrays(folder: Path, tours: int) -> dict[str, np.memmap]:
    shapes = {
        'rgb': (np.uint8, (FRAMES, HEIGHT, WIDTH, 3)),
        'depth': (np.float16, (FRAMES, PATCH_ROWS * PATCH_COLUMNS)),
        'rays': (np.uint8, (FRAMES, ROWS, COLUMNS)),
        'motion': (np.float16, (FRAMES, 3)),
        'done': (np.bool_, ()),
    }
    return {
        name: _array(folder / f'{name}.npy', dtype, (tours, *shape))
        for name, (dtype, shape) in shapes.items()
    }


@contextmanager
def _drawing(
    folder: Path, tours: int, seed: int, rooms: tuple[int, int]
) -> Iterator[Callable[[int], None]]:
    """Give what draws the tours of the house of a number."""
    arrays = _arrays(folder, tours)

    def draw(number: int) -> None:
        rng = np.random.default_rng([seed, number])
        house = generate_house(int(rng.integers(1 << 40)), rooms=rooms, pairs=TRAINING_PAIRS)
        surroundings, space = Surroundings(house), FreeSpace(house)
        starts = space.points[space.clearance_at(space.points) >= 0.3]
        renderer.load(house)
        for tour in range(number * TOURS, (number + 1) * TOURS):
            camera = CameraModel() if rng.random() < 0.5 else random_camera(rng)
            for frame, (pose, motion) in enumerate(_tour(rng, space, starts)):
                rgb = camera.spoil(renderer.render(*pose, camera), rng)
                labels = surroundings.look(*pose, camera)
                arrays['rgb'][tour, frame] = resize(rgb, WIDTH)
                arrays['depth'][tour, frame] = labels.depth
                arrays['rays'][tour, frame] = labels.rays
                arrays['motion'][tour, frame] = motion
            arrays['done'][tour] = True

    with closing(Renderer(CameraModel().width, CameraModel().height)) as renderer:
        yield draw


def _array(path: Path, dtype: type, shape: tuple[int, ...]) -> np.memmap:
    """Open an array in a file for writing; make it if there is none."""
    if path.exists():
        array = open_memmap(path, mode='r+')
        if array.shape != shape:
            raise ValueError(
                f'{path} has shape {array.shape}, not {shape}; '
                'use the same number of tours, or another folder'
            )
        return array
    return open_memmap(path, mode='w+', dtype=dtype, shape=shape)


def _tour(
    rng: np.random.Generator, space: FreeSpace, starts: np.ndarray
) -> list[tuple[tuple[float, float, float], tuple[float, float, float]]]:
    """Walk at random: (pose, motion since the pose before) of each frame."""
    x, y = starts[rng.integers(len(starts))]
    yaw = rng.uniform(-math.pi, math.pi)
    poses = [((x, y, yaw), (0.0, 0.0, 0.0))]
    while len(poses) < FRAMES:
        before = x, y, yaw
        for _ in range(int(rng.integers(1, 4))):
            step = x + FORWARD_STEP * math.cos(yaw), y + FORWARD_STEP * math.sin(yaw)
            if rng.random() < 0.5 and space.line_is_free((x, y), step):
                x, y = step
            else:
                yaw += TURN_STEP * rng.choice((-1, 1))
        dx, dy = x - before[0], y - before[1]
        cos, sin = math.cos(before[2]), math.sin(before[2])
        poses.append(((x, y, yaw), (dx * cos + dy * sin, dy * cos - dx * sin, yaw - before[2])))
    return poses
