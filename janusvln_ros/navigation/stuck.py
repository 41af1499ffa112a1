"""Whether a robot gets on: turns without a step forward, and pushes that do not move it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from janusvln_ros.actions import Action, FORWARD_STEP
from janusvln_ros.motion.geometry import Pose, wrap
from janusvln_ros.motion.types import Result
from janusvln_ros.parameters import parameter

_TURNS = (Action.TURN_LEFT, Action.TURN_RIGHT)
_SAME_PLACE, _SAME_WAY = 0.5, math.radians(45.0)  # pushes so near, in about one direction


@dataclass(frozen=True)
class StuckParameters:
    """What counts as stuck, and how often a way out is tried."""

    spin_steps: int = parameter(
        30, 'Turns in one direction in a row that count as STUCK.', low=2, high=100000
    )
    dither_steps: int = parameter(
        12, 'Turns in a row, to and fro, that count as STUCK.', low=4, high=100000
    )
    push_steps: int = parameter(
        3,
        'Forward motions at one place and in one direction that were blocked or moved nothing, '
        'after which none is tried there: BLOCKED, or STUCK.',
        low=1,
        high=100000,
    )
    push_distance: float = parameter(
        0.05,
        'Movement below which a forward motion was none.',
        unit='m',
        low=0.0,
        high=FORWARD_STEP,
    )
    max_recoveries: int = parameter(
        3,
        'Times in an episode that a stuck or blocked robot takes its likeliest other action '
        'instead; 0: never.',
        low=0,
        high=1000,
    )


class StuckDetector:
    """Hears of every action of an episode and of every end of a motion."""

    def __init__(self, parameters: StuckParameters) -> None:
        self._parameters = parameters
        self._actions: list[int] = []
        self._begin = self.pose = Pose()  # of the last action, and now; by the motions' progress
        self._pushes: list[Pose] = []  # where forward motions moved nothing
        self._blocked = False  # the last action: ahead is an obstacle
        self._recoveries = 0
        self.obstacle = ''  # what motion_executor said of the last push

    def acted(self, action: int) -> None:
        """Note an action that was sent."""
        self._actions.append(action)
        self._begin = self.pose

    def progressed(self, progress: float) -> None:
        """Note how far (m or rad) the last action has come."""
        if not self._actions or not math.isfinite(progress):
            return
        action = self._actions[-1]
        if action == Action.MOVE_FORWARD:
            self.pose = self._begin.moved(progress)
        else:
            turned = progress if action == Action.TURN_LEFT else -progress
            self.pose = self._begin.moved(0.0, turned)

    def moved(self, result: Result, progress: float, message: str = '') -> bool:
        """Note how the last action ended; tell whether it was a push that moved nothing."""
        forward = self._actions[-1:] == [Action.MOVE_FORWARD]
        self._blocked = forward and result == Result.BLOCKED
        pushed = forward and progress < self._parameters.push_distance
        if pushed and result in (Result.SUCCEEDED, Result.TIMEOUT, Result.BLOCKED):
            self._pushes.append(self.pose)
            self.obstacle = message if self._blocked else ''
        return pushed

    def trouble(self, action: int) -> str:
        """Say what the robot would be stuck in if it did this action as well, or ''."""
        limits = self._parameters
        if action == Action.MOVE_FORWARD:
            pushes = sum(map(self._is_here, self._pushes))
            if pushes >= limits.push_steps:
                return f'{pushes} forward motions did not move the robot from here'
        if action not in _TURNS:
            return ''
        actions = [*self._actions, action]
        spin = actions[-limits.spin_steps :]
        if len(spin) == limits.spin_steps and set(spin) == {action}:
            return f'{limits.spin_steps} turns in one direction without a step forward'
        dither = actions[-limits.dither_steps :]
        changes = sum(one != other for one, other in zip(dither, dither[1:]))
        if (
            len(dither) == limits.dither_steps
            and set(dither) <= set(_TURNS)
            and changes >= limits.dither_steps // 3
        ):
            return f'{limits.dither_steps} turns to and fro without a step forward'
        return ''

    def recovery(self, action: int, probabilities: Sequence[float]) -> Action | None:
        """
        Return what to do instead of an action that is trouble, or that was just blocked.

        None: no reason to, or all tries are used up. probabilities: of the four actions in order.
        What was turned before counts no more then; a place where it pushed stays one.
        """
        blocked = self._blocked and action == Action.MOVE_FORWARD
        if self._recoveries >= self._parameters.max_recoveries or not (
            blocked or self.trouble(action)
        ):
            return None
        self._recoveries += 1
        self._actions.clear()
        others = _TURNS if action == Action.MOVE_FORWARD else (Action.MOVE_FORWARD,)
        return max(others, key=lambda other: probabilities[other])

    def _is_here(self, pose: Pose) -> bool:
        """Tell whether a pose is at the robot's place, and looks about where it looks."""
        forward, left, turn = pose.seen_from(self.pose)
        return math.hypot(forward, left) <= _SAME_PLACE and abs(wrap(turn)) <= _SAME_WAY
