"""One trial: break a robot, watch it, and judge."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from dataclasses import dataclass
import math
import os
import re
import sys
import time

from domains import free_domain
from faults import STEP, STEP_ANGLE

from matrix.row import Row
from matrix.scene import moves, ROOT, Scene

ASKING, AFTERWARDS, WATCHED = 4.0, 2.5, 1.0  # s: the same again; nothing; of it, nothing moves
TELLING = 10.0  # s until the user must have been told
LATE = 0.3  # s that a busy computer may take besides
_LONGEST = 1000  # characters of a message


@dataclass
class Seen:
    """What a trial has shown: m and rad after the fault, s until zero."""

    way: float = math.nan
    turned: float = math.nan
    zero: float = math.nan
    message: str = ''
    wrong: str = ''


@contextlib.contextmanager
def scene_of(row: Row, mode: str, wish: int) -> Iterator[Scene]:
    """Give a robot that moves, in a domain of its own, and end all of it afterwards."""
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'  # no real robot hears this
    os.environ['FASTRTPS_DEFAULT_PROFILES_FILE'] = str(ROOT / 'config' / 'fastdds.xml')
    with contextlib.ExitStack() as ends:
        scene = Scene(ends.enter_context(free_domain()), mode)
        ends.callback(scene.end)
        if row.simulator:
            scene.base_process = scene.start(
                *('-m', 'janusvln_ros.cli', 'sim_robot', '--ros-args'),
                *('-r', 'ground_truth:=base_truth'),
            )
        else:
            scene.base_process = scene.start_script('../support/kinematic_base.py', *row.base)
        scene.executor_process = scene.start_executor(*row.parameters, code=row.code)
        scene.ready(row.ready)
        scene.wish = wish
        row.prepare(scene)
        if row.limit is not None:
            scene.sets_off()
        yield scene


def trial(row: Row, mode: str, wish: int) -> Seen:
    """Break a robot and watch it."""
    with scene_of(row, mode, wish) as scene:
        scene.begins()
        row.begin(scene)
        scene.asks = scene.asks and not row.momentary
        scene.insist(max(0.0, scene.began + ASKING - time.monotonic()))
        scene.asks = False
        time.sleep(AFTERWARDS - WATCHED)
        quiet = time.monotonic()
        place = scene.way, scene.yaw
        time.sleep(WATCHED)
        stands = scene.way - place[0] < 0.003 and abs(scene.yaw - place[1]) < 0.003
        message = ''
        while not message and row.says and time.monotonic() < scene.began + TELLING:
            message = next((one for one in scene.told() if re.search(row.says, one)), '')
            time.sleep(0.1)
        commands = [
            (at, moves(velocity)) for at, *velocity in list(scene.commands) if at >= scene.began
        ]
        zero = _zero(row, scene, commands)
        limit = math.inf if row.limit is None else row.limit + LATE
        wrong = [
            text
            for text, found in (
                (f'no zero within {limit - LATE:g} s', not zero <= limit),
                (
                    'motion was commanded',
                    row.limit is None and any(moved for _, moved in commands),
                ),
                ('farther than a step', scene.way > STEP),
                ('turned more than a step', scene.turned > STEP_ANGLE),
                (
                    'motion commanded at the end',
                    any(moved for at, moved in commands if at > quiet),
                ),
                ('the base moved at the end', not stands),
                (
                    f'nobody says "{row.says}" but {_quoted(scene.told())}',
                    row.says and not message,
                ),
                ('a message without bounds', any(len(one) > _LONGEST for one in scene.told())),
                (row.after(scene), True),
            )
            if found and text
        ]
        return Seen(scene.way, math.degrees(scene.turned), zero, message, ', '.join(wrong))


def _quoted(texts: list[str]) -> str:
    """Return the beginnings of different texts."""
    return ', '.join(f'"{text[:120]}"' for text in list(dict.fromkeys(texts))[:3])


def _zero(row: Row, scene: Scene, commands: list[tuple[float, bool]]) -> float:
    """
    Return the time (s) after the fault's begin until zero is commanded, and stays so.

    Where the robot may try again the first zero counts; where nobody commands, its rest.
    """
    if row.limit is None:
        return 0.0
    if not row.commands_zero or not commands:  # no command at all: it had stopped before
        return max(0.0, scene.rested_at - scene.began)
    zeros = [at for at, moved in commands if not moved]
    if not row.again:
        last = max((at for at, moved in commands if moved), default=scene.began)
        zeros = [at for at in zeros if at >= last]
    return min(zeros, default=math.inf) - scene.began


def tried(row: Row, mode: str, wish: int) -> Seen:
    """Try once more when the robot did not come to move: that says nothing of the fault."""
    for _ in range(2):
        try:
            return trial(row, mode, wish)
        except AssertionError as error:
            reason = f'not tried: {error}'
            print(f'\n{row.name}: {reason}', file=sys.stderr)
    return Seen(wrong=reason)
