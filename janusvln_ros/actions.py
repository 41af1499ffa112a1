"""The policy's four actions and how far each goes: the only place where these stand."""

from __future__ import annotations

from enum import IntEnum
import math

FORWARD_STEP = 0.25  # m, what MOVE_FORWARD moves
TURN_STEP = math.radians(15.0)  # rad, what a turn turns


class Action(IntEnum):
    """What the policy answers (paper, section 3.1); values equal NavigationAction's constants."""

    STOP = 0
    MOVE_FORWARD = 1
    TURN_LEFT = 2  # counter-clockwise seen from above (REP-103)
    TURN_RIGHT = 3


ACTION_NAMES = tuple(action.name for action in Action)
