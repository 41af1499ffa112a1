"""
Rounds of rollouts: driven with the network as it is, kept on disk, and learned from.

ROUND is FOLDER/round_NUMBER.npz: which episodes, what was done, what came of it, and how likely it
was. Pictures are not kept: a run that goes on in the middle of a round drives the same way again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
from zipfile import BadZipFile

from janusvln_ros.policy.preprocessing import patch_grid
from janusvln_ros.policy.prompt import Prompt, PromptEncoder
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.training.data.collect import Plan
from janusvln_ros.training.deciding import Answers, Encoders, sample
from janusvln_ros.training.driving import Drivers, Place
from janusvln_ros.training.reinforce import advantages, Decisions, Packing, ReinforceNetwork
import numpy as np
import torch

_NOT = -1  # action behind a rollout's end


@dataclass(frozen=True)
class Rules:
    """
    What decides how rollouts are driven and rewarded; a run that goes on must have the same.

    groups: of a round. rollouts: of a group. steps: of a rollout at most. decay: of the reward,
    which is 1 for arriving, with every step. least_spread: deviation of a group's rewards below
    which it is left out.
    """

    groups: int
    rollouts: int
    steps: int
    temperature: float
    decay: float
    least_spread: float
    categories: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Round:
    """Rollouts, E of them, group by group, of at most S steps."""

    actions: np.ndarray  # int8 (E, S), _NOT behind the end
    arrived: np.ndarray  # bool (E)
    old: np.ndarray  # float32 (E, S), as of Decisions; zeros where nothing is learned
    reference: np.ndarray  # float32 (E, S)

    @property
    def steps(self) -> np.ndarray:
        """Give how many actions each took: (E)."""
        return (self.actions != _NOT).sum(-1)


@dataclass(frozen=True)
class _Seen:
    """What rollouts were told, and what they saw."""

    suffixes: Sequence[tuple[int, ...]]
    prompt: Prompt
    fused: torch.Tensor  # (E, T, M, D)


class RolloutBatches:
    """
    Draws batches from rollouts of the network that learns from them.

    The rollouts of a round are learned from `passes` times, by a step each.
    """

    def __init__(
        self,
        network: ReinforceNetwork,
        encoder: PromptEncoder,
        packing: Packing,
        drivers: Drivers,
        folder: Path,
        rules: Rules,
        *,
        passes: int,
        batches: int,
        dtype: torch.dtype,
    ) -> None:
        """batches: to a step, of the loop. dtype: of its autocast, float32 for none."""
        self._network, self._reference = network, network.twin()
        self._encoder, self._packing, self._drivers = encoder, packing, drivers
        self._folder, self._rules = folder, rules
        self._passes, self._batches, self._dtype = passes, batches, dtype
        self._plan = Plan(folder, 1, rules.seed, rules.categories)
        self._drawn: tuple[int, list[Decisions]] = -1, []

    def batch(self, step: int, part: int) -> Decisions:
        """Give a part of the round of a step; its first step drives it."""
        number = step // self._passes
        if self._drawn[0] != number:
            self._drawn = -1, []  # freed first
            self._drawn = number, self._draw(number)
        return self._drawn[1][part]

    def _draw(self, number: int) -> list[Decisions]:
        """Drive a round, or drive it again as its file has it."""
        device = self._network.model.device
        path = self._folder / f'round_{number:06}.npz'
        known = self._read(path) if path.exists() else None
        # Weights that are cast without a gradient must not be found again by who wants one.
        with (
            torch.no_grad(),
            torch.autocast(
                device.type,
                torch.bfloat16,
                enabled=self._dtype == torch.bfloat16,
                cache_enabled=False,
            ),
        ):
            seen, done = self._drive(number, known)
            if known is None:
                for rows, part in self._parts(seen, done):
                    for network, into in (
                        (self._network, done.old),
                        (self._reference, done.reference),
                    ):
                        if len(rows):
                            logs = network.answers(part.to(device))[0]
                            into[rows, : logs.shape[1]] = logs.cpu().numpy()
                self._write(path, done)
            return [part for _, part in self._parts(seen, done)]

    def _drive(self, number: int, known: Round | None) -> tuple[_Seen, Round]:
        """Drive the rollouts of a round; `known`: as they were driven."""
        rules, model, tree = self._rules, self._network.model, self._packing.tree
        first = number * rules.groups
        instructions = self._drivers.begin(
            [self._plan.index(first + group) for group in range(rules.groups)]
        )
        places: list[Place] = [
            (group, one) for group in range(rules.groups) for one in range(rules.rollouts)
        ]
        suffixes = [self._encoder.suffix(instructions[group]) for group, _ in places]
        camera = CameraModel()
        grid = patch_grid(camera.width, camera.height, model.config.image_width)
        prompt = self._encoder.prompt(suffixes[0], grid)
        shape = len(places), rules.steps
        actions = np.full(shape, _NOT, np.int8)
        deepest = 2 + int(tree.depths.max())  # tokens of an answer with its end
        draws = np.random.default_rng([41, rules.seed, number]).random((*shape, deepest))
        encoders, answers = Encoders(model), Answers(model, prompt, suffixes, tree)
        fused = []
        alive = np.arange(len(places))
        for step in range(rules.steps):
            frames = self._drivers.look([places[row] for row in alive])
            read = encoders(torch.from_numpy(frames).to(model.device))
            fused.append(read.new_zeros(len(places), *read.shape[1:]))
            fused[-1][torch.from_numpy(alive).to(model.device)] = read
            if known is None:
                actions[alive, step] = sample(
                    tree, answers(read), rules.temperature, draws[alive, step]
                )
            else:
                actions[alive, step] = known.actions[alive, step]
            left = self._drivers.act({places[row]: int(actions[row, step]) for row in alive})
            stay = np.flatnonzero([places[row] in left for row in alive])
            if not len(stay):
                break
            if len(stay) < len(alive):
                alive, rows = alive[stay], torch.from_numpy(stay).to(model.device)
                encoders.keep(rows)
                answers.keep(rows)
        seen = _Seen(suffixes, prompt, torch.stack(fused, dim=1))
        if known is not None:
            return seen, known
        arrived = self._drivers.arrived()
        nothing = (np.zeros(shape, np.float32) for _ in range(2))
        return seen, Round(actions, np.array([arrived[place] for place in places]), *nothing)

    def _parts(self, seen: _Seen, done: Round) -> list[tuple[np.ndarray, Decisions]]:
        """Divide what is learned from into batches of about equally long rollouts, with rows."""
        steps, groups = done.steps, (-1, self._rules.rollouts)
        reward = done.arrived * self._rules.decay**steps
        advantage = advantages(reward.reshape(groups), self._rules.least_spread).flatten()
        skipped = np.isnan(advantage)
        kept = np.flatnonzero(~skipped)
        kept = kept[steps[kept].argsort(kind='stable')]
        facts = {
            'reward': float(reward.mean()),
            'rollout_sr': float(done.arrived.mean()),
            'rollout_steps': float(steps.mean()),
            'groups_skipped': float(skipped.sum() / self._rules.rollouts),
        }
        weight = self._batches / max(1, int(steps[kept].sum()))
        parts = []
        for rows in np.array_split(kept, self._batches):
            most = int(steps[rows].max(initial=0))
            questions, targets, nodes = self._packing.pack(
                [seen.suffixes[row] for row in rows],
                [done.actions[row, : steps[row]].tolist() for row in rows],
            )
            old, reference = (torch.from_numpy(x[rows, :most]) for x in (done.old, done.reference))
            decisions = Decisions(
                seen.fused[torch.from_numpy(rows).to(seen.fused.device), :most],
                questions,
                targets,
                nodes,
                torch.from_numpy(advantage[rows].astype(np.float32)),
                old,
                reference,
                weight,
                seen.prompt,
                facts,
            )
            parts.append((rows, decisions))
        return parts

    def _read(self, path: Path) -> Round:
        try:
            with np.load(path) as file:
                rules = json.loads(str(file['rules']))
                done = Round(*(file[name] for name in Round.__annotations__))
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise ValueError(
                f'{path} is damaged: {error!r}; delete it, then it is driven'
            ) from error
        if rules != json.loads(json.dumps(asdict(self._rules))):
            raise ValueError(
                f'{path} was driven by other rules: {rules}; go on with these, or give another '
                'output'
            )
        return done

    def _write(self, path: Path, done: Round) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix('.part')
        with part.open('wb') as file:
            np.savez_compressed(file, rules=json.dumps(asdict(self._rules)), **vars(done))
        os.replace(part, path)
