"""What a policy is to those who drive a robot with one: all that navigation knows; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, TYPE_CHECKING

from janusvln_ros.actions import Action
import numpy as np

if TYPE_CHECKING:
    from janusvln_ros.policy.decoding import Generation
    import torch


class FrameGeometry(NamedTuple):
    """
    What the geometry encoder's dense heads say of a frame, on the pixels that the encoder saw.

    Lengths are in the network's own unit, which is one for an episode, at first unknown.
    """

    depth: np.ndarray  # float32 (H, W), along the optical axis
    depth_confidence: np.ndarray  # float32 (H, W), above 1
    points: np.ndarray | None = None  # float32 (H, W, 3), in the first frame's optical frame
    points_confidence: np.ndarray | None = None  # float32 (H, W), above 1

    @property
    def in_heights(self) -> bool:
        """Tell whether the unit is about the camera's height above the floor."""
        return False


class GeometryInHeights(FrameGeometry):
    """The same of heads that have learned to tell lengths in heights of the camera."""

    @property
    def in_heights(self) -> bool:
        """Return True."""
        return True


@dataclass(frozen=True)
class Decision:
    """What the policy decided at a step."""

    action: Action
    probabilities: dict[Action, float]  # softmax of the four answers' log-probabilities
    log_probabilities: dict[Action, float]  # of each answer's text and end of turn
    logits: torch.Tensor  # float32 (vocab,): raw, at the first answer token
    text: str  # what the language model said
    generation: Generation  # how it came to say so
    timings: dict[str, float]  # seconds by part of the step
    geometry: FrameGeometry | None = None  # where it was asked for


class MemoryUsage(NamedTuple):
    """How full an episode's memory is."""

    frames: int  # retained
    capacity: int  # retained at most
    bytes: int  # noqa: A003, of all storage, host memory included


class Policy(Protocol):
    """Frames and an instruction in, actions out; one episode at a time."""

    @property
    def random_weights(self) -> bool:
        """Whether decisions mean nothing, since the weights are random."""

    def warm_up(self, frame_size: tuple[int, int]) -> str:
        """Do what takes long at first, for frames (width, height); say what was done."""

    def reset(self, instruction: str) -> None:
        """Begin a new episode: the memory is empty."""

    def unknown_words(self, instruction: str) -> list[str]:
        """Give the words of an instruction that the policy never saw, as far as can be told."""

    def step(self, rgb: np.ndarray, geometry: bool = False) -> Decision:
        """
        Decide on the next frame, uint8 (H, W, 3), RGB; ValueError for anything else.

        geometry: tell the frame's, of a policy that was loaded with the heads.
        """

    def memory_usage(self) -> MemoryUsage:
        """Tell how full the memory is."""
