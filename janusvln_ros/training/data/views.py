"""
Short tours of random houses, drawn and labelled: what the two encoders are pre-trained on.

A tour is a few frames with one to three actions between them, so the geometry encoder can learn
how the camera moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
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

TOURS = 2  # in a house
HEIGHT, WIDTH = 84, 112  # pixels


@dataclass(frozen=True)
class Plan:
    """Which tours are drawn."""

    tours: int
    seed: int
    rooms: tuple[int, int]  # fewest and most of a house
    frames: int = 6  # of a tour
    dense: bool = False  # depth of every pixel as well


def write_views(folder: Path, plan: Plan, processes: int = 1) -> None:
    """
    Draw tours into memory-mapped arrays in `folder`, as the plan has it.

    rgb.npy uint8 (tours, frames, 84, 112, 3); depth.npy float16 (tours, frames, 48), metres;
    rays.npy uint8 (tours, frames, 24, 32), the class that each meets, or 255; motion.npy float16
    (tours, frames, 3): metres ahead and to the left, radians to the left since the frame before.
    done.npy bool (tours,): an interrupted run goes on where it was. Dense tours have
    pixel_depth.npy float16 (tours, frames, 84, 112), metres along the optical axis, and camera.npy
    float32 (tours, 3): horizontal field of view, height in metres, tilt down; in radians.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = _arrays(folder, plan)
    houses = [
        house
        for house in range(plan.tours // TOURS)
        if not arrays['done'][house * TOURS : (house + 1) * TOURS].all()
    ]
    with tqdm(
        desc='houses',
        total=plan.tours // TOURS,
        initial=plan.tours // TOURS - len(houses),
        mininterval=5,
    ) as bar:
        for _ in in_processes(houses, _drawing, folder, plan, processes=processes):
            bar.update()


def _arrays(folder: Path, plan: Plan) -> dict[str, np.memmap]:
    frames = plan.frames
    shapes = {
        'rgb': (np.uint8, (frames, HEIGHT, WIDTH, 3)),
        'depth': (np.float16, (frames, PATCH_ROWS * PATCH_COLUMNS)),
        'rays': (np.uint8, (frames, ROWS, COLUMNS)),
        'motion': (np.float16, (frames, 3)),
        'done': (np.bool_, ()),
    }
    if plan.dense:
        shapes |= {
            'pixel_depth': (np.float16, (frames, HEIGHT, WIDTH)),
            'camera': (np.float32, (3,)),
        }
    return {
        name: _array(folder / f'{name}.npy', dtype, (plan.tours, *shape))
        for name, (dtype, shape) in shapes.items()
    }


@contextmanager
def _drawing(folder: Path, plan: Plan) -> Iterator[Callable[[int], None]]:
    """Give what draws the tours of the house of a number."""
    arrays = _arrays(folder, plan)
    # of the frame's pixels those in the middle of the encoders'
    rows, columns = (
        ((np.arange(n) + 0.5) * of / n).astype(int)
        for n, of in ((HEIGHT, CameraModel().height), (WIDTH, CameraModel().width))
    )

    def draw(number: int) -> None:
        rng = np.random.default_rng([plan.seed, number])
        house = generate_house(int(rng.integers(1 << 40)), rooms=plan.rooms, pairs=TRAINING_PAIRS)
        surroundings, space = Surroundings(house), FreeSpace(house)
        starts = space.points[space.clearance_at(space.points) >= 0.3]
        renderer.load(house)
        for tour in range(number * TOURS, (number + 1) * TOURS):
            camera = CameraModel() if rng.random() < 0.5 else random_camera(rng)
            for frame, (pose, motion) in enumerate(_tour(rng, space, starts, plan.frames)):
                rgb = camera.spoil(renderer.render(*pose, camera), rng)
                labels = surroundings.look(*pose, camera)
                arrays['rgb'][tour, frame] = resize(rgb, WIDTH)
                arrays['depth'][tour, frame] = labels.depth
                arrays['rays'][tour, frame] = labels.rays
                arrays['motion'][tour, frame] = motion
                if plan.dense:
                    arrays['pixel_depth'][tour, frame] = renderer.depth()[np.ix_(rows, columns)]
            if plan.dense:
                arrays['camera'][tour] = camera.hfov, camera.elevation, camera.tilt
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
    rng: np.random.Generator, space: FreeSpace, starts: np.ndarray, frames: int
) -> list[tuple[tuple[float, float, float], tuple[float, float, float]]]:
    """Walk at random: (pose, motion since the pose before) of each frame."""
    x, y = starts[rng.integers(len(starts))]
    yaw = rng.uniform(-math.pi, math.pi)
    poses = [((x, y, yaw), (0.0, 0.0, 0.0))]
    while len(poses) < frames:
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
