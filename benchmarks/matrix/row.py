"""What a row of the matrix declares: a fault, how it is brought about, and what has to follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matrix.scene import FORWARD, LEFT, Scene

BOTH = (FORWARD, LEFT)
AT_ONCE, BRAKES, ENDS, STANDS = 'zero at once', 'brakes', 'ends its step', 'does not set off'


def nothing(scene: Scene) -> None:
    """Leave all as it is."""


@dataclass(frozen=True)
class Row:
    """
    A fault.

    how, then: what the robot does, and what has to happen before it drives again. limit: s until
    zero is commanded, or the base rests where nobody can command; None: no motion ever begins.
    begin: breaks the robot; it may call begins() itself. says: pattern of what the user has to be
    told. wishes: what the robot is doing. momentary: it is over at once; what is asked for later
    is none of it. again: the robot may try again, within the same step. code: Python that starts
    the executor. after: says what else is wrong at the end.
    """

    name: str
    how: str
    then: str
    limit: float | None
    begin: Callable[[Scene], object] = nothing
    says: str = '.'
    wishes: tuple[int, ...] = (FORWARD,)
    modes: tuple[str, ...] = ('step', 'continuous')
    parameters: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    simulator: bool = False
    prepare: Callable[[Scene], object] = nothing
    commands_zero: bool = True
    momentary: bool = False
    again: bool = False
    ready: bool = True
    code: str = ''
    after: Callable[[Scene], str] = lambda scene: ''

    @property
    def declared(self) -> str:
        """Return the cells of the table that no trial fills."""
        within = '—' if self.limit is None else f'{self.limit:g} s'
        return f'| {self.name} | {self.how}; {self.then} | {within} |'
