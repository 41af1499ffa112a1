"""Which requests are taken up: those in order, of the present, and within what is allowed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import math

from janusvln_ros.motion.commands import Kind
from janusvln_ros.motion.types import Mode, Request, Result
from janusvln_ros.parameters import parameter

_AHEAD = 0.5  # s that an image may be stamped ahead of the clock


@dataclass(frozen=True)
class AdmissionParameters:
    """What may be asked for."""

    execution_mode: Mode = parameter(
        Mode.STEP,
        'step: one action, settle, then the next; continuous: actions keep coming while the'
        " robot moves and move the goal on. The same as the navigator's.",
    )
    allow_reverse: bool = parameter(False, 'Obey sentences that ask to drive backwards.')
    max_move: float = parameter(
        5.0, 'Longest move that a sentence may ask for.', unit='m', low=0.01, high=100.0
    )
    max_turn: float = parameter(
        math.tau,
        'Widest turn that a sentence may ask for.',
        unit='rad',
        low=0.01,
        high=4.0 * math.pi,
    )


@dataclass(frozen=True)
class AgeParameters:
    """How old a decision may be."""

    max_decision_age: float = parameter(
        2.0,
        'In continuous mode a decision from an older image is dropped.',
        unit='s',
        low=0.05,
        high=60.0,
    )


class Admission:
    """Knows which step came last, and what is allowed."""

    def __init__(self, parameters: AdmissionParameters, age: AgeParameters) -> None:
        self.parameters, self.age = parameters, age
        self._instruction_id, self._step = '', -1  # the newest step
        self._past_ids: deque[str] = deque(maxlen=32)

    def note(self, request: Request) -> None:
        """Take a request as the newest step."""
        if request.instruction_id:
            if self._instruction_id not in ('', request.instruction_id):
                self._past_ids.append(self._instruction_id)
            self._instruction_id, self._step = request.instruction_id, request.step

    def disorder(self, request: Request) -> str:
        """Return why a request is out of order, or ''."""
        if request.instruction_id in self._past_ids:
            return f'instruction {request.instruction_id} has been replaced'
        if (
            request.instruction_id
            and request.instruction_id == self._instruction_id
            and request.step <= self._step
        ):
            return f'step {request.step} is not newer than step {self._step}'
        return ''

    def refusal(
        self, request: Request, now: float, *, stands: bool, brakes: bool
    ) -> tuple[Result, str]:
        """
        Return (NONE, '') for a motion that may begin, else its result and why.

        stands, brakes: whether the robot does; in step mode it has to stand.
        """
        allowed, command = self.parameters, request.command
        limit = allowed.max_move if command.kind is Kind.MOVE else allowed.max_turn
        if not 0.0 < abs(command.amount) <= limit:  # also refuses NaN
            return Result.BAD_INPUT, f'an amount of {command.amount} is not within 0..{limit:g}'
        if command.kind is Kind.MOVE and command.amount < 0.0 and not allowed.allow_reverse:
            return Result.BAD_INPUT, 'driving backwards is not allowed (allow_reverse)'
        if allowed.execution_mode is Mode.STEP:
            return (Result.NONE, '') if stands else (Result.DROPPED, 'another action was moving')
        if brakes:
            return Result.DROPPED, 'the robot is coming to a stop'
        age = now - request.stamp
        if request.stamp and age < -_AHEAD:
            return Result.BAD_INPUT, f'the image is stamped {-age:.1f} s in the future'
        if request.stamp and age > self.age.max_decision_age:
            return Result.DROPPED, f'the decision is {age:.1f} s old'
        return Result.NONE, ''
