"""
Draw a house from the robot's camera, without a screen.

MuJoCo draws; its model holds only textures. The shapes of a house go straight into MuJoCo's scene,
so changing the house takes milliseconds, and the context with its textures lives on.
"""

from __future__ import annotations

import math

import cv2
from janusvln_ros.sim import textures
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.gl import make_context, mujoco
from janusvln_ros.sim.house import Door, DOOR_FRAME, House, WALL_THICKNESS
from janusvln_ros.sim.primitives import Shape
from janusvln_ros.sim.shapes import house_lights, house_shapes
import numpy as np

_MAX_SHAPES = 4000
_NEAR, _FAR = 0.03, 40.0  # m
_KINDS = {
    'plane': mujoco.mjtGeom.mjGEOM_PLANE,
    'box': mujoco.mjtGeom.mjGEOM_BOX,
    'cylinder': mujoco.mjtGeom.mjGEOM_CYLINDER,
    'sphere': mujoco.mjtGeom.mjGEOM_ELLIPSOID,
}
# Drawn larger and scaled down: smooth edges for half of what MuJoCo's four samples a pixel cost.
_OVERSAMPLING = 1.5
_HIDDEN = int(mujoco.mjtGeom.mjGEOM_NONE)


class Renderer:
    """
    A drawing context for pictures of one size.

    It belongs to the thread that made it; close() it there. RuntimeError where nothing can draw.
    """

    def __init__(self, width: int, height: int) -> None:
        self._names = list(textures.library())
        self._size = (width, height)
        width, height = round(width * _OVERSAMPLING), round(height * _OVERSAMPLING)
        model = _texture_model(width, height)
        self._context_gl = make_context(width, height)
        self._context_gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, _MAX_SHAPES)
        self._scene.flags[:] = 0
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        self._flipped = np.empty((height, width, 3), np.uint8)
        self._flipped_depth = np.empty((height, width), np.float32)
        self._geoms: list = []
        self._types: list[int] = []

    def load(self, house: House) -> None:
        """Take another house into the scene."""
        shapes = house_shapes(house)
        lights = house_lights(house)
        if len(shapes) > _MAX_SHAPES:
            raise ValueError(f'{len(shapes)} shapes, at most {_MAX_SHAPES} can be drawn')
        self._context_gl.make_current()
        scene = self._scene
        scene.ngeom = len(shapes)
        self._geoms = [scene.geoms[i] for i in range(len(shapes))]
        self._types = [int(_KINDS[shape.kind]) for shape in shapes]
        for geom, shape in zip(self._geoms, shapes):
            _fill(geom, shape, self._names)
        self._house = house
        self._rooms = np.zeros((len(shapes), len(house.rooms)), bool)
        for row, shape in zip(self._rooms, shapes):
            row[list(shape.rooms)] = True
        self._visible = np.ones(len(shapes), bool)
        self._centres = np.array([shape.position for shape in shapes]).reshape(-1, 3)
        self._radii = np.array([_radius(shape) for shape in shapes])
        scene.nlight = len(lights)
        for target, light in zip(scene.lights, lights):
            target.type = int(mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
            target.dir = light.direction
            target.diffuse = light.diffuse
            target.ambient = light.ambient
            target.specular = (light.specular,) * 3
            target.castshadow = 0
            target.headlight = 0

    def render(self, x: float, y: float, yaw: float, camera: CameraModel) -> np.ndarray:
        """
        Draw what a camera sees from a robot's pose (metres, radians).

        Returns uint8 (height, width, 3), RGB, not yet spoilt by exposure, blur or noise.
        """
        self._context_gl.make_current()
        level = math.cos(camera.tilt)
        forward = np.array([level * math.cos(yaw), level * math.sin(yaw), -math.sin(camera.tilt)])
        left = np.array([-math.sin(yaw), math.cos(yaw), 0.0])
        up = np.cross(forward, left)
        eye = np.array([x, y, camera.elevation])
        half_width = math.tan(camera.hfov / 2)
        half_height = half_width * camera.height / camera.width
        self._hide(eye, forward, left, up, half_width, half_height)
        for view in self._scene.camera:
            view.pos, view.forward, view.up = eye, forward, up
            view.frustum_near, view.frustum_far = _NEAR, _FAR
            view.frustum_bottom, view.frustum_top = -_NEAR * half_height, _NEAR * half_height
            view.frustum_center, view.frustum_width = 0.0, _NEAR * half_width
            view.orthographic = 0
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        mujoco.mjr_readPixels(self._flipped, None, self._viewport, self._context)
        return cv2.resize(self._flipped[::-1], self._size, interpolation=cv2.INTER_AREA)

    def depth(self) -> np.ndarray:
        """
        Tell how far what `render` drew last is, in metres along the optical axis.

        Returns float32 (height, width): each that of one point in the pixel, as means would lie
        between a thing and what is behind it.
        """
        self._context_gl.make_current()
        mujoco.mjr_readPixels(None, self._flipped_depth, self._viewport, self._context)
        depth = cv2.resize(self._flipped_depth[::-1], self._size, interpolation=cv2.INTER_NEAREST)
        return _NEAR / (1 - depth * (1 - _NEAR / _FAR))

    def close(self) -> None:
        """Free the context."""
        self._context.free()
        self._context_gl.free()

    def _hide(
        self,
        eye: np.ndarray,
        forward: np.ndarray,
        left: np.ndarray,
        up: np.ndarray,
        half_width: float,
        half_height: float,
    ) -> None:
        """Leave out the shapes that are outside of the picture or in rooms not seen."""
        offset = self._centres - eye
        ahead = offset @ forward
        wide, high = math.hypot(1.0, half_width), math.hypot(1.0, half_height)
        visible = (
            (ahead > -self._radii)
            & (np.abs(offset @ left) - half_width * ahead < wide * self._radii)
            & (np.abs(offset @ up) - half_height * ahead < high * self._radii)
        )
        yaw = math.atan2(forward[1], forward[0])
        widest = math.hypot(*forward[:2]) - half_height * abs(forward[2])
        if widest > 0.1:
            seen = rooms_in_sight(self._house, eye[0], eye[1], yaw, math.atan2(half_width, widest))
            visible &= self._rooms[:, sorted(seen)].any(axis=1)
        for i in np.flatnonzero(visible != self._visible):
            self._geoms[i].type = self._types[i] if visible[i] else _HIDDEN
        self._visible = visible


def rooms_in_sight(house: House, x: float, y: float, yaw: float, half_angle: float) -> set[int]:
    """
    Give the rooms that can be seen from a point, straight or through doorways.

    half_angle: radians, to both sides of yaw. All rooms where the point lies in no room and no
    doorway.
    """
    seen: set[int] = set()

    def look(room: int, right: float, left: float, through: tuple[int, ...]) -> None:
        seen.add(room)
        for door in house.doors_of(room):
            if door.index in through:
                continue
            angles = [
                math.remainder(math.atan2(cy - y, cx - x) - yaw, math.tau)
                for cx, cy in _opening(door)
            ]
            if max(angles) - min(angles) > math.pi:  # the opening spans the angle right behind
                angles = [angle % math.tau for angle in angles]
            for turn in (0.0, -math.tau):
                low, high = max(min(angles) + turn, right), min(max(angles) + turn, left)
                if low < high:
                    look(door.other(room), low, high, (*through, door.index))

    half_angle = min(half_angle, 0.5 * math.pi)
    for door in house.doors:
        across, along = (x - door.x, y - door.y) if door.axis == 'x' else (y - door.y, x - door.x)
        if abs(across) <= WALL_THICKNESS / 2 + _NEAR and abs(along) <= door.width / 2 + DOOR_FRAME:
            for index in (door.room_a, door.room_b):
                look(index, -half_angle, half_angle, (door.index,))
            return seen
    room = house.room_at(x, y)
    if room is None:
        return set(range(len(house.rooms)))
    look(room.index, -half_angle, half_angle, ())
    return seen


def _opening(door: Door) -> list[tuple[float, float]]:
    """Give the corners of a doorway on the floor, from both faces of the wall."""
    half, deep = door.width / 2, WALL_THICKNESS / 2
    if door.axis == 'x':
        return [(door.x + a * deep, door.y + b * half) for a in (-1, 1) for b in (-1, 1)]
    return [(door.x + b * half, door.y + a * deep) for a in (-1, 1) for b in (-1, 1)]


def _texture_model(width: int, height: int) -> mujoco.MjModel:
    """Build a model with a material for every texture and nothing else."""
    spec = mujoco.MjSpec()
    spec.visual.global_.offwidth = width
    spec.visual.global_.offheight = height
    spec.visual.quality.offsamples = 0
    spec.visual.quality.shadowsize = 0
    spec.visual.quality.numslices = 20
    spec.visual.quality.numstacks = 12
    spec.visual.quality.numquads = 1
    for name, pixels in textures.library().items():
        texture = spec.add_texture()
        texture.name = name
        texture.type = mujoco.mjtTexture.mjTEXTURE_2D
        texture.height, texture.width, texture.nchannel = pixels.shape
        texture.data = pixels.tobytes()
        material = spec.add_material()
        material.name = name
        roles = material.textures
        roles[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = name
        material.textures = roles
        material.texuniform = True
        # MuJoCo's unit is the half extent: a repeat of 1 is one tile in 2 m.
        material.texrepeat = (2 / textures.TILE, 2 / textures.TILE)
    return spec.compile()


def _fill(geom: mujoco.MjvGeom, shape: Shape, names: list[str]) -> None:
    """Write a shape into a slot of MuJoCo's scene."""
    mujoco.mjv_initGeom(
        geom,
        _KINDS[shape.kind],
        np.array(shape.size),
        np.array(shape.position),
        np.array(shape.axes),
        np.array((*shape.rgb, shape.alpha), np.float32),
    )
    geom.matid = names.index(shape.texture) if shape.texture else -1
    geom.emission = shape.emission
    geom.specular = 0.0 if shape.kind == 'plane' else 0.3
    geom.shininess = 0.4
    geom.transparent = int(shape.alpha < 1.0)


def _radius(shape: Shape) -> float:
    """Give the radius of a sphere around a shape, in metres."""
    if shape.kind in ('plane', 'cylinder'):
        return math.hypot(*shape.size[:2])
    if shape.kind == 'sphere':
        return max(shape.size)
    return math.hypot(*shape.size)
