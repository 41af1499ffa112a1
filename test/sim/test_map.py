"""The plan of a house: what stands where is drawn there, in its colour."""

from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import free_start
from janusvln_ros.sim.map import draw_map, HouseMap, Path
from janusvln_ros.sim.primitives import RGB
import numpy as np
import pytest


@pytest.mark.parametrize('seed', range(4))
def test_furniture_and_doors_have_their_place_and_colour(seed: int):
    house = generate_house(seed, rooms=4)
    plan = HouseMap(house, width=1000)
    for piece in house.furniture:
        column, row = plan.pixel(piece.x, piece.y)
        # Beside the name, which may be written across the middle.
        reach = 0.7 * min(piece.half_x, piece.half_y) * plan.scale
        assert _near(plan.image, column, row - reach, RGB[piece.colour])
    for door in house.doors:
        for x, y, *_ in door.posts():
            column, row = plan.pixel(x, y)
            assert _near(plan.image, column, row, RGB[door.colour])


def _near(image: np.ndarray, column: float, row: float, rgb: tuple[float, ...]) -> bool:
    """Tell whether a pixel near a place has a colour."""
    patch = image[round(row) - 3 : round(row) + 4, round(column) - 3 : round(column) + 4].astype(
        float
    )
    return bool((np.abs(patch - 255 * np.array(rgb)).max(axis=-1) < 6).any())


def test_paths_start_goal_title_and_legend_are_drawn():
    house = generate_house(1, rooms=2)
    start = free_start(house)
    goal = house.rooms[1].centre
    path = Path(np.array([start[:2], goal]), (200, 30, 120), 'robot')
    plain = draw_map(house)
    full = draw_map(
        house,
        paths=[path, Path(path.points, (0, 0, 250), 'expert', dashed=True)],
        start=start,
        goal=goal,
        robot=(*goal, 0.0),
        title='Go to the red chair. ' * 9,
    )
    assert full.dtype == np.uint8 and full.shape[1] == plain.shape[1] == 900
    assert full.shape[0] > plain.shape[0] + 60
    assert (full == (200, 30, 120)).all(axis=-1).sum() > 100
    assert (full == (0, 0, 250)).all(axis=-1).sum() > 100
    assert not (plain == (200, 30, 120)).all(axis=-1).any()


def test_a_path_of_one_point_is_no_line():
    house = generate_house(1, rooms=1)
    path = Path(np.array([house.rooms[0].centre]), (200, 30, 120), 'robot')
    assert not (HouseMap(house).image == (200, 30, 120)).all(axis=-1).any()
    plan = HouseMap(house)
    plan.path(path)
    assert np.array_equal(plan.image, HouseMap(house).image)
