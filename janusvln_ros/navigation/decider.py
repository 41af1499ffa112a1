"""
From a frame to an action: what a policy is given, and that its answer is one.

The navigator's worker and a replay both decide through this, so that they decide alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math
import time

from janusvln_ros.actions import Action
from janusvln_ros.imaging.encodings import ImageError
from janusvln_ros.policy.interface import Decision, FrameGeometry, MemoryUsage, Policy
import numpy as np


class PolicyError(RuntimeError):
    """A policy's answer that is none."""


@dataclass(frozen=True)
class Answer:
    """One decision, and what it cost."""

    action: Action
    probabilities: tuple[float, ...]  # of the four actions in order
    seconds: float  # that the policy took
    memory: MemoryUsage  # afterwards
    decision: Decision
    geometry: FrameGeometry | None = None  # of the frame, where somebody wants it


class Decider:
    """A policy and the episode it is in."""

    def __init__(self, policy: Policy, wanted: Callable[[], bool] = lambda: False) -> None:
        """wanted: whether a decision is to tell the frame's geometry as well."""
        self.policy, self._wanted = policy, wanted
        self._shape: tuple[int, ...] | None = None  # of the episode's frames

    def reset(self, instruction: str) -> MemoryUsage:
        """Begin a new episode with empty memory; frames may have another size then."""
        self.policy.reset(instruction)
        self._shape = None
        return self.policy.memory_usage()

    def check(self, rgb: np.ndarray) -> None:
        """Raise ImageError for a frame, uint8 (H, W, 3), that does not fit its episode."""
        if self._shape is not None and rgb.shape != self._shape:
            raise ImageError(
                f'frame of {rgb.shape[1]}x{rgb.shape[0]} pixels in an episode of '
                f'{self._shape[1]}x{self._shape[0]}'
            )

    def decide(self, rgb: np.ndarray) -> Answer:
        """
        Decide from a frame, uint8 (H, W, 3), RGB, that `check` lets through.

        Raises PolicyError for an answer that is none, and whatever the policy raises.
        """
        self._shape = rgb.shape
        begun, geometry = time.perf_counter(), None
        if self._wanted():
            decision = self.policy.step(rgb, geometry=True)
            geometry = decision.geometry
        else:
            decision = self.policy.step(rgb)
        seconds = time.perf_counter() - begun
        try:
            action = Action(decision.action)
            probabilities = tuple(float(decision.probabilities[one]) for one in Action)
        except (KeyError, TypeError, ValueError) as error:
            raise PolicyError(f'its answer is no decision: {error!r}') from error
        if not all(map(math.isfinite, probabilities)):
            raise PolicyError(f'the probabilities of its answer are {probabilities}')
        return Answer(
            action, probabilities, seconds, self.policy.memory_usage(), decision, geometry
        )
