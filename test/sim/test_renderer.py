"""Pictures: equal for equal seeds, true to the house, complete in spite of what is left out."""

from dataclasses import replace
import hashlib
import math
import subprocess
import sys

from janusvln_ros.sim import renderer as renderer_module
from janusvln_ros.sim.camera import CameraModel, random_camera
from janusvln_ros.sim.furniture_shapes import furniture_shapes
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import (
    CATEGORIES,
    clearance,
    COLOURS,
    free_start,
    Furniture,
    House,
    Room,
)
from janusvln_ros.sim.renderer import Renderer, rooms_in_sight
import numpy as np
import pytest

pytestmark = pytest.mark.slow

HASHES = """
import hashlib
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.generator import generate_house
from janusvln_ros.sim.house import free_start
from janusvln_ros.sim.world import KinematicWorld
world = KinematicWorld(generate_house(5), camera=CameraModel(noise=3.0, blur=0.5))
for seed in (5, 6):
    house = generate_house(seed)
    world.load(house, seed=1)
    world.reset(*free_start(house))
    for action in (1, 2, 1, 3):
        world.step(action)
        print(hashlib.sha256(world.render().tobytes()).hexdigest())
"""


@pytest.fixture(scope='module')
def renderer():
    made = Renderer(320, 240)
    yield made
    made.close()


@pytest.fixture(scope='module')
def furniture():
    return [piece for seed in range(60) for piece in generate_house(seed).furniture]


def free_poses(house: House, count: int) -> list[tuple[float, float, float]]:
    """Draw places where the robot fits."""
    rng = np.random.default_rng(house.seed)
    x0, y0, x1, y1 = house.bounds
    poses = []
    while len(poses) < count:
        x, y = rng.uniform((x0, y0), (x1, y1)).tolist()
        if clearance(house.obstacles(), np.array([x, y])) > 0.18:
            poses.append((x, y, float(rng.uniform(-math.pi, math.pi))))
    return poses


def test_pictures_are_equal_in_other_processes_and_after_other_houses():
    runs = [
        subprocess.run(
            [sys.executable, '-c', HASHES], check=True, capture_output=True, text=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert len(runs[0]) == 8 and len(set(runs[0])) == 8
    assert runs[0] == runs[1]


def test_picture_does_not_depend_on_what_was_drawn_before(renderer: Renderer):
    first, second = generate_house(3, rooms=2), generate_house(4, rooms=6)
    renderer.load(first)
    before = renderer.render(*free_start(first), CameraModel())
    renderer.load(second)
    for pose in free_poses(second, 5):
        renderer.render(*pose, CameraModel())
    renderer.load(first)
    after = renderer.render(*free_start(first), CameraModel())
    assert hashlib.sha256(before).digest() == hashlib.sha256(after).digest()


def test_rooms_out_of_sight_are_not_missed(renderer: Renderer, monkeypatch: pytest.MonkeyPatch):
    """What is left out because no doorway shows it must not change the picture."""
    rng = np.random.default_rng(0)
    less = 0
    for seed in range(8):
        house = generate_house(200 + seed, rooms=4 + seed % 3)
        for pose in free_poses(house, 12):
            camera = CameraModel(tilt=rng.uniform(-0.2, 0.5), hfov=rng.uniform(0.7, 1.8))
            renderer.load(house)
            picture = renderer.render(*pose, camera)
            seen = rooms_in_sight(house, *pose, camera.hfov / 2)
            less += len(seen) < len(house.rooms)
            with monkeypatch.context() as patch:
                everything = set(range(len(house.rooms)))
                patch.setattr(renderer_module, 'rooms_in_sight', lambda *_, e=everything: e)
                renderer.load(house)
                assert np.array_equal(picture, renderer.render(*pose, camera)), (seed, pose)
    assert less > 50


@pytest.mark.parametrize('colour', COLOURS)
def test_colours_are_told_apart_in_any_light(renderer: Renderer, colour: str):
    """A ball's pixels are nearest in hue to their own name's, and never dark."""
    room = Room(0, 'office', -2.0, -2.0, 2.0, 2.0)
    hues = {
        'red': 0,
        'orange': 28,
        'yellow': 53,
        'green': 125,
        'blue': 225,
        'purple': 275,
        'pink': 330,
    }
    for seed in range(6):
        piece = Furniture(0, 'ball', colour, 0.8, 0.0, 0.0, 0.3, 0.3, 0.6, 0)
        renderer.load(House(seed, (room,), (), (piece,)))
        picture = renderer.render(-1.2, 0.0, 0.0, CameraModel(tilt=0.45)).astype(float) / 255
        r, g, b = np.median(picture[110:130, 150:170].reshape(-1, 3), axis=0).tolist()
        light = max(r, g, b)
        spread = light - min(r, g, b)
        assert light > 0.35, 'black is no colour of furniture'
        if colour == 'white':
            assert spread < 0.2 * light and light > 0.6
            continue
        assert spread > 0.2 * light
        sixths = {r: (g - b) / spread % 6, g: (b - r) / spread + 2, b: (r - g) / spread + 4}
        hue = 60 * sixths[light]
        nearest = min(hues, key=lambda name: abs((hues[name] - hue + 180) % 360 - 180))
        assert nearest == colour, (seed, hue)


@pytest.mark.parametrize('category', CATEGORIES)
def test_furniture_fills_its_footprint_and_its_height(furniture: list[Furniture], category: str):
    """What is seen is what one runs into: nothing sticks out, nothing is far smaller."""
    for piece in [piece for piece in furniture if piece.category == category][:8]:
        flat = replace(piece, x=0.0, y=0.0, yaw=0.0)
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        for shape in furniture_shapes(flat):
            if shape.alpha < 1.0:
                continue
            axes, size = np.array(shape.axes).reshape(3, 3), np.array(shape.size)
            if shape.kind == 'cylinder':
                reach = np.array([size[0], size[0], size[1]])
            elif shape.kind == 'sphere':
                reach = np.sqrt((axes**2) @ size**2)
            else:
                reach = abs(axes) @ size
            low = np.minimum(low, shape.position - reach)
            high = np.maximum(high, shape.position + reach)
        most = np.array([piece.half_x, piece.half_y, piece.height])
        assert (high[:2] <= most[:2] + 0.01).all() and (low[:2] >= -most[:2] - 0.01).all()
        assert high[2] <= piece.height + 0.02
        assert (high[:2] >= 0.7 * most[:2]).all() and (low[:2] <= -0.7 * most[:2]).all()
        assert high[2] >= 0.8 * piece.height
        assert low[2] >= -0.001


def test_camera_geometry(renderer: Renderer):
    """A ball is where the pinhole model says, in column and row."""
    camera = CameraModel()
    room = Room(0, 'office', -4.0, -4.0, 4.0, 4.0)
    for x, y in ((2.0, 0.0), (2.0, 1.0), (2.5, -1.5)):
        piece = Furniture(0, 'ball', 'red', x, y, 0.0, 0.3, 0.3, 0.6, 0)
        renderer.load(House(1, (room,), (), (piece,)))
        picture = renderer.render(0.0, 0.0, 0.0, camera).astype(int)
        red = (picture[..., 0] > 90) & (picture[..., 0] > 2 * picture[..., 1:].max(axis=-1))
        rows, columns = np.nonzero(red)
        assert abs(columns.mean() - (160 - camera.focal_length * y / x)) < 4
        assert abs(rows.mean() - (120 + camera.focal_length * (1.25 - 0.3) / x)) < 5


def test_random_cameras_vary_and_repeat(renderer: Renderer):
    house = generate_house(2)
    renderer.load(house)
    plain = renderer.render(*free_start(house), CameraModel())

    def pictures() -> list[np.ndarray]:
        rng = np.random.default_rng(9)
        cameras = [random_camera(rng) for _ in range(6)]
        return [
            camera.spoil(renderer.render(*free_start(house), camera), rng) for camera in cameras
        ]

    first, second = pictures(), pictures()
    for a, b in zip(first, second):
        assert np.array_equal(a, b)
        assert a.dtype == np.uint8 and a.shape == plain.shape
        assert not np.array_equal(a, plain)
    assert len({a.tobytes() for a in first}) == 6


def test_bad_cameras_are_refused():
    with pytest.raises(ValueError, match='16 x 16'):
        CameraModel(width=8)
    with pytest.raises(ValueError, match='radians'):
        CameraModel(hfov=79.0)


def test_no_way_to_draw_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch):
    """Physics works without drawing; a renderer says what to install."""
    code = (
        'import ctypes\n'
        'real = ctypes.CDLL\n'
        'def missing(name, *arguments, **options):\n'
        '    if "GL" in str(name) or "OSMesa" in str(name): raise OSError("no library")\n'
        '    return real(name, *arguments, **options)\n'
        'ctypes.CDLL = missing\n'
        'from janusvln_ros.sim.generator import generate_house\n'
        'from janusvln_ros.sim.house import free_start\n'
        'from janusvln_ros.sim.physics import PhysicsWorld\n'
        'from janusvln_ros.sim.renderer import Renderer\n'
        'house = generate_house(0)\n'
        'PhysicsWorld(house, free_start(house)).advance(0.1)\n'
        'print("simulated")\n'
        'Renderer(320, 240)\n'
    )
    monkeypatch.delenv('MUJOCO_GL', raising=False)
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert run.returncode == 1 and run.stdout == 'simulated\n'
    assert 'sudo apt-get install -y libegl1' in run.stderr.splitlines()[-1]
