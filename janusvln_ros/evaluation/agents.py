"""Who is evaluated: a checkpoint, the expert, or a baseline that sees nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from janusvln_ros.actions import Action
from janusvln_ros.evaluation.environment import HouseEnvironment
from janusvln_ros.evaluation.places import HousePlaces
from janusvln_ros.sim.expert import Expert
import numpy as np

BASELINES = ('expert', 'random', 'forward', 'stop')
# Shares of the actions of expert trajectories, as VLN-CE's random agent takes them.
_RANDOM = (0.02, 0.68, 0.15, 0.15)  # in the order of Action
_FORWARD_STEPS = 14  # about what the expert walks in an episode


class Agent(Protocol):
    """Chooses actions in an environment."""

    sees: bool  # whether it is given pictures

    def begin(self, environment: Any) -> None:
        """Get ready for the episode that the environment has just started."""

    def act(self, rgb: np.ndarray | None) -> int:
        """Choose an action; `rgb` is uint8 (H, W, 3), None for an agent that does not see."""


@dataclass(frozen=True)
class AgentSpec:
    """
    What makes an agent, the same in every process.

    policy: one of BASELINES, or a checkpoint's folder. adapter: folder of one that is added to its
    weights. memory: fields of MemoryConfig. geometry_heads: what places tokens where memory is
    pruned by voxels: 'points', or 'depth' with the robot's true pose. lam: weight
    of geometry, None for the checkpoint's; 0 is without geometry. forget_spatial,
    forget_semantic: that memory is emptied before every step. shuffled: each episode comes with
    the instruction of another one, so that a policy that listens fails.
    """

    policy: str
    adapter: str | None = None
    device: str = 'cpu'
    dtype: str = 'float32'
    image_width: int | None = None
    memory: dict[str, Any] = field(default_factory=dict)
    geometry_heads: str = 'none'
    lam: float | None = None
    forget_spatial: bool = False
    forget_semantic: bool = False
    shuffled: bool = False
    seed: int = 0

    def changed(self, **changes: Any) -> AgentSpec:
        """Give a copy with some fields changed; memory fields are merged."""
        memory = self.memory | changes.pop('memory', {})
        return replace(self, memory=memory, **changes)

    def make(self) -> Agent:
        """
        Make the agent.

        Raises ValueError for a policy that is neither a baseline nor a folder, and what
        JanusPolicy.from_pretrained raises.
        """
        if self.policy == 'expert':
            return ExpertAgent()
        if self.policy in BASELINES:
            return BlindAgent(self.policy, self.seed)
        self.check()
        return CheckpointAgent(self)

    def check(self) -> None:
        """Raise ValueError for a policy that is neither a baseline nor a checkpoint's folder."""
        if self.policy in BASELINES:
            return
        if not Path(self.policy).is_dir():
            raise ValueError(
                f'policy {self.policy!r} is neither a folder with a checkpoint nor '
                f'one of {", ".join(BASELINES)}'
            )
        from janusvln_ros.policy.network.config import JanusConfig

        JanusConfig.from_folder(self.policy)


class BlindAgent:
    """`stop` stops, `forward` walks straight on and stops, `random` draws its actions."""

    sees = False

    def __init__(self, kind: str, seed: int) -> None:
        self._kind, self._seed = kind, seed

    def begin(self, environment: Any) -> None:
        """Draw the same actions for the same episode whoever came before."""
        name = str(environment.episode.episode_id).encode()
        self._rng = np.random.default_rng([self._seed, *name])
        self._steps = 0

    def act(self, rgb: np.ndarray | None) -> int:
        """Choose an action."""
        self._steps += 1
        if self._kind == 'random':
            return int(self._rng.choice(len(_RANDOM), p=_RANDOM))
        if self._kind == 'forward' and self._steps <= _FORWARD_STEPS:
            return Action.MOVE_FORWARD
        return Action.STOP


class ExpertAgent:
    """The expert, who knows the house."""

    sees = False

    def begin(self, environment: Any) -> None:
        """Plan the route. TypeError outside of our houses."""
        if not isinstance(environment, HouseEnvironment):
            raise TypeError('the expert needs a house of the embedded world')
        self._world = environment.world
        self._expert = Expert(environment.space, environment.route)

    def act(self, rgb: np.ndarray | None) -> int:
        """Choose an action."""
        return self._expert.act(*self._world.pose)


class CheckpointAgent:
    """A trained policy."""

    sees = True

    def __init__(self, spec: AgentSpec) -> None:
        # Only here: the baselines run without torch.
        from janusvln_ros.policy import JanusPolicy, MemoryConfig

        self._spec = spec
        memory = MemoryConfig(**spec.memory)
        by_depth = memory.needs_places and spec.geometry_heads == 'depth'
        self._places = HousePlaces() if by_depth else None
        self.policy = JanusPolicy.from_pretrained(
            spec.policy,
            adapter=spec.adapter,
            device=spec.device,
            dtype=spec.dtype,
            image_width=spec.image_width,
            memory=memory,
            geometry_heads=spec.geometry_heads,
            place=self._places,
        )
        if spec.lam is not None:
            self.policy.model.config = replace(self.policy.model.config, lam=spec.lam)

    def begin(self, environment: Any) -> None:
        """Begin an episode: memories are empty."""
        if self._places:
            self._places.begin(environment)
        self.policy.reset(
            environment.other_instruction()
            if self._spec.shuffled
            else environment.episode.instruction.text
        )

    def act(self, rgb: np.ndarray | None) -> int:
        """Choose an action."""
        if rgb is None:
            raise ValueError('a checkpoint needs the picture')
        self._forget()
        self.decision = self.policy.step(rgb)
        return int(self.decision.action)

    def _forget(self) -> None:
        """Empty the memories that are ablated, as if the frame were the episode's first."""
        episode = self.policy.episode
        if episode is None:
            return
        if self._spec.forget_spatial:
            episode.geometry.clear()
        if self._spec.forget_semantic:
            episode.language.clear()
            episode.step = 0
