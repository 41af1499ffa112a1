"""
Look at the world: `python -m janusvln_ros.sim.contact_sheet FOLDER` writes pictures of it.

furniture.png: every kind in every colour, each from the same distance. houses.png: what the robot
sees in random houses. cameras.png: one view through the cameras of training. maps.png: plans.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import math
from pathlib import Path
import sys

import cv2
from janusvln_ros.sim.camera import CameraModel, random_camera
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import CATEGORIES, clearance, COLOURS, free_start, House, Room
from janusvln_ros.sim.map import draw_map
from janusvln_ros.sim.renderer import Renderer
import numpy as np
from tqdm import tqdm


def main(argv: list[str] | None = None) -> int:
    """Write the sheets."""
    parser = argparse.ArgumentParser(
        prog='python -m janusvln_ros.sim.contact_sheet', description='Write pictures to look at.'
    )
    parser.add_argument('folder', type=Path, help='where the pictures go')
    parser.add_argument('--seed', type=int, default=0, help='of the first house (default 0)')
    options = parser.parse_args(argv)
    options.folder.mkdir(parents=True, exist_ok=True)
    renderer = Renderer(320, 240)
    try:
        for name, sheet in (
            ('furniture', furniture_sheet(renderer)),
            ('houses', house_sheet(renderer, options.seed)),
            ('cameras', camera_sheet(renderer, options.seed)),
            ('maps', map_sheet(options.seed)),
        ):
            path = options.folder / f'{name}.png'
            cv2.imwrite(str(path), sheet[..., ::-1])
            print(path)
    finally:
        renderer.close()
    return 0


def furniture_sheet(renderer: Renderer) -> np.ndarray:
    """Draw every category (rows) in every colour (columns) from 2.2 m, uint8 (H, W, 3)."""
    rows = []
    for row, category in enumerate(tqdm(CATEGORIES, 'furniture')):
        example = next(
            piece
            for seed in range(1000)
            for piece in generate_house(seed).furniture
            if piece.category == category
        )
        line = []
        for column, colour in enumerate(COLOURS):
            piece = replace(
                example, colour=colour, x=0.0, y=0.0, yaw=math.radians(-150), room=0, index=column
            )
            room = Room(0, 'office', -2.5, -2.5, 1.6, 2.5)
            renderer.load(House(100 * row + column, (room,), (), (piece,)))
            picture = renderer.render(-2.2, 0.0, 0.0, CameraModel(tilt=math.radians(12)))
            line.append(cv2.resize(picture, (200, 150), interpolation=cv2.INTER_AREA))
        rows.append(np.hstack(line))
    return np.vstack(rows)


def house_sheet(renderer: Renderer, seed: int) -> np.ndarray:
    """Draw views of 24 houses, uint8 (H, W, 3)."""
    pictures = []
    for i in tqdm(range(24), 'houses'):
        house = generate_house(seed + i, rooms=(1, 6))
        renderer.load(house)
        pictures.append(renderer.render(*_random_pose(house, i), CameraModel()))
    return _tiled(pictures, 4)


def camera_sheet(renderer: Renderer, seed: int) -> np.ndarray:
    """Draw one view as the plain camera and 15 random ones see it, uint8 (H, W, 3)."""
    house = generate_house(seed, rooms=3)
    renderer.load(house)
    rng = np.random.default_rng(seed)
    pose = free_start(house)
    cameras = [CameraModel(), *(random_camera(rng) for _ in range(15))]
    return _tiled([camera.spoil(renderer.render(*pose, camera), rng) for camera in cameras], 4)


def map_sheet(seed: int) -> np.ndarray:
    """Draw the plans of six houses with one to six rooms, uint8 (H, W, 3)."""
    maps = [draw_map(generate_house(seed + n, rooms=n), width=800) for n in range(1, 7)]
    height = max(picture.shape[0] for picture in maps)
    framed = [
        cv2.copyMakeBorder(
            picture, 0, height - picture.shape[0], 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255)
        )
        for picture in maps
    ]
    return _tiled(framed, 3)


def _random_pose(house: House, seed: int) -> tuple[float, float, float]:
    """Choose a free place that looks to the middle of its room."""
    rng = np.random.default_rng(seed)
    while True:
        room = house.rooms[int(rng.integers(len(house.rooms)))]
        x, y = rng.uniform((room.x0, room.y0), (room.x1, room.y1)).tolist()
        if clearance(house.obstacles(), np.array([x, y])) > 0.3:
            middle_x, middle_y = room.centre
            return x, y, math.atan2(middle_y - y, middle_x - x) + rng.normal(0.0, 0.3)


def _tiled(pictures: list[np.ndarray], columns: int) -> np.ndarray:
    """Put pictures of one size into rows."""
    rows = [pictures[i : i + columns] for i in range(0, len(pictures), columns)]
    return np.vstack([np.hstack(row) for row in rows])


if __name__ == '__main__':
    sys.exit(main())
