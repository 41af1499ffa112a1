"""What a robot can be told: one of the policy's actions, or a mid-level command (NaVILA)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
import math

from janusvln_ros.actions import Action, FORWARD_STEP, TURN_STEP
from janusvln_ros.parameters import parameter


@dataclass(frozen=True)
class StepParameters:
    """What one action is."""

    step_length: float = parameter(
        FORWARD_STEP, 'What MOVE_FORWARD moves.', unit='m', low=0.01, high=5.0
    )
    step_angle: float = parameter(
        TURN_STEP, 'What a turn turns.', unit='rad', low=0.01, high=math.pi
    )


class Kind(IntEnum):
    """Types of a command; values equal MidLevelCommand's constants."""

    STOP = 0
    MOVE = 1
    TURN = 2


@dataclass(frozen=True)
class Command:
    """A motion: amount in metres (MOVE, positive forward) or radians (TURN, positive left)."""

    kind: Kind
    amount: float = 0.0

    @classmethod
    def from_action(cls, action: int, step_length: float, step_angle: float) -> Command:
        """Return the motion of an action; ValueError when there is no such action."""
        try:
            action = Action(action)
        except ValueError:
            known = ', '.join(f'{one.value} {one.name}' for one in Action)
            raise ValueError(f'action {action} is not one of {known}') from None
        if action is Action.STOP:
            return cls(Kind.STOP)
        if action is Action.MOVE_FORWARD:
            return cls(Kind.MOVE, step_length)
        return cls(Kind.TURN, step_angle if action is Action.TURN_LEFT else -step_angle)

    @property
    def action(self) -> Action:
        """Return the action it resembles: its type and direction without the amount."""
        if self.kind is Kind.STOP:
            return Action.STOP
        if self.kind is Kind.MOVE:
            return Action.MOVE_FORWARD
        return Action.TURN_LEFT if self.amount > 0.0 else Action.TURN_RIGHT

    @property
    def sentence(self) -> str:
        """Say it in NaVILA's words: "move forward 75 cm", "turn left 30 degrees", "stop"."""
        if self.kind is Kind.STOP:
            return 'stop'
        if self.kind is Kind.MOVE:
            direction = 'forward' if self.amount >= 0.0 else 'backward'
            return f'move {direction} {round(abs(self.amount) * 100.0, 1):g} cm'
        direction = 'left' if self.amount >= 0.0 else 'right'
        return f'turn {direction} {round(math.degrees(abs(self.amount)), 1):g} degrees'

    def merged(self, other: Command, longest: float, widest: float) -> Command | None:
        """
        Return both as one command, or None where they cannot be.

        They can when type and direction are equal and the sum stays within `longest` (m) for
        moves or `widest` (rad) for turns.
        """
        if self.kind is not other.kind or self.amount * other.amount <= 0.0:
            return None
        amount = self.amount + other.amount
        limit = longest if self.kind is Kind.MOVE else widest
        return Command(self.kind, amount) if abs(amount) <= limit + 1e-6 else None
