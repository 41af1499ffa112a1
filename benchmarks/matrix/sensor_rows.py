"""Faults of obstacle sensors, and obstacles: a robot with stop_distance 0.3 m."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any

import numpy as np
from obstacle_messages import ahead, cloud, depth_image, room, scan
from pictures import depth_of, LENS
from sensor_msgs.msg import CameraInfo

from matrix.row import AT_ONCE, Row
from matrix.scene import FORWARD, LEFT, Scene

READY = 'ready; INPUT_LOST until it sees'
SPEAKS = 'ready; INPUT_LOST until all its messages have been good for `obstacle_timeout`'
BLOCKED = 'ready; BLOCKED, turns are still possible'


def looks(topic: str, message: Any) -> Callable[[Scene], None]:
    """Return what lets a sensor say something else from now on; None: nothing."""
    return lambda scene: scene.sensors.update({topic: message})


def is_late(seconds: float) -> Callable[[Scene], None]:
    """Return what lets all sensors stamp so much later."""

    def begin(scene: Scene) -> None:
        scene.sensors_late = seconds

    return begin


def hollow() -> np.ndarray:
    """Return a depth image (m) whose middle measures nothing."""
    metres = np.full((60, 80), 3.0)
    metres[22:38, 30:50] = 0.0
    return metres


def elsewhere() -> Any:
    """Return a scan of another frame."""
    message = scan()
    message.header.frame_id = 'elsewhere'
    return message


def row(
    name: str,
    begin: Callable[[Scene], None],
    says: str,
    then: str = READY,
    sensors: Callable[[], dict[str, Any]] = lambda: {'scan': scan()},
    parameters: tuple[str, ...] = (),
    **more: Any,
) -> Row:
    """Return a row about a robot with some sensors."""
    return Row(
        name,
        AT_ONCE,
        then,
        0.7,
        begin,
        says,
        parameters=('stop_distance:=0.3', 'sensor_mounts:=parameters', *parameters),
        prepare=lambda scene: scene.start_sensors(**sensors()),
        **more,
    )


def depth(name: str, message: Any, says: str, then: str = READY) -> Row:
    """Return a row about a robot with a depth camera."""
    return row(
        name,
        looks('depth', message),
        says,
        then,
        lambda: {'depth': depth_image(np.full((60, 80), 3.0))},
        ('obstacle_sensor:=depth',),
    )


def points(name: str, message: Any, says: str, then: str = READY) -> Row:
    """Return a row about a robot with a lidar."""
    return row(
        name,
        looks('points', message),
        says,
        then,
        lambda: {'points': cloud(room(3.0))},
        ('obstacle_sensor:=points',),
    )


def guess(name: str, begin: Callable[[Scene], None], says: str, then: str) -> Row:
    """Return a row about a robot that trusts the navigator's depth alone to stop it."""
    k = [LENS.focal_x, 0.0, LENS.centre_x, 0.0, LENS.focal_y, LENS.centre_y, 0.0, 0.0, 1.0]
    info = CameraInfo(width=112, height=84, k=k)
    return Row(
        name,
        AT_ONCE,
        then,
        0.7,
        begin,
        says,
        parameters=('guessed_depth:=stop', 'guess_timeout:=0.5', 'sensor_mounts:=parameters'),
        prepare=lambda scene: scene.start_sensors(
            **{'depth/image': guessed((5.0, 2.0)), 'depth/camera_info': info}
        ),
        wishes=(FORWARD,),
    )


def guessed(*things: tuple[float, float]) -> Any:
    """Return the navigator's depth of things ahead: how far, how high (m)."""
    return depth_image(depth_of(*things), '32FC1')


SENSORS = (
    row('scan silent', looks('scan', None), 'scan silent'),
    row('scan of an obstacle', looks('scan', scan(ranges=[0.35] * 360)), 'obstacle', BLOCKED),
    row(
        'scan of an obstacle that a turn would touch',
        looks('scan', scan(ranges=[0.28] * 360)),
        'obstacle',
        'ready; BLOCKED',
        wishes=(LEFT,),
    ),
    row('scan of -Inf, too near', looks('scan', scan(ranges=ahead(-math.inf))), 'near', BLOCKED),
    row('scan of 0.0', looks('scan', scan(ranges=[0.0] * 360)), 'blind'),
    row('scan of NaN', looks('scan', scan(ranges=[math.nan] * 360)), 'blind'),
    row(
        'scan with one valid beam, behind',
        looks('scan', scan(ranges=[1.0] + [math.nan] * 359)),
        'beams measured',
    ),
    row(
        'scan whose increment is NaN',
        looks('scan', scan(angle_increment=math.nan)),
        'angle_increment',
        SPEAKS,
    ),
    row('scan of a minute ago', is_late(-60.0), 'clocks', SPEAKS),
    row('scan stamped 5 s ahead', is_late(5.0), 'clocks', SPEAKS),
    row('scan of another frame', looks('scan', elsewhere()), '"elsewhere"', SPEAKS),
    row(
        'one of two lasers silent',
        looks('scan2', None),
        'scan2 silent',
        sensors=lambda: {'scan': scan(), 'scan2': scan()},
        parameters=('obstacle_sensor:=scan,scan2', 'scan2_roll:=3.14159'),
    ),
    depth('depth camera silent', None, 'depth silent'),
    depth('depth image whose middle is 0', depth_image(hollow()), 'beams measured'),
    depth('depth image of 0', depth_image(np.zeros((60, 80))), 'blind'),
    depth('depth image of an obstacle', depth_image(np.full((60, 80), 0.4)), 'obstacle', BLOCKED),
    points('cloud of NaN', cloud(np.full((500, 3), math.nan)), 'blind'),
    points('cloud of no points', cloud(np.zeros((0, 3))), 'no points', SPEAKS),
    points('cloud of an obstacle', cloud(room(0.3)), 'obstacle', BLOCKED),
    guess(
        "the navigator's depth silent (`guessed_depth` stop, `guess_timeout` 0.5 s)",
        looks('depth/image', None),
        'no guess of the way',
        'ready; INPUT_LOST until it sees; turns are still possible',
    ),
    guess(
        "the navigator's depth of an obstacle (`guessed_depth` stop)",
        looks('depth/image', guessed((0.5, 2.0))),
        "network's guess",
        BLOCKED,
    ),
    guess(
        "the navigator's depth of NaN (`guessed_depth` stop, `guess_timeout` 0.5 s)",
        looks('depth/image', depth_image(np.full((84, 112), math.nan), '32FC1')),
        'are needed',
        'ready; INPUT_LOST until it sees; turns are still possible',
    ),
)
