"""
Groups of rollouts that drive in lockstep: many processes draw and move, somebody else decides.

The rollouts of a group follow one instruction from one start. They share a world: a robot in it is
a pose, so a house is built, and brought to its drawing context, once for all of a group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
import multiprocessing
from multiprocessing.connection import Connection
import os
import signal
from typing import Any

from janusvln_ros.episodes.splits import build_episode
from janusvln_ros.evaluation.environment import HouseEnvironment
from janusvln_ros.policy.preprocessing import resize
from janusvln_ros.training.data.collect import WALKS
from janusvln_ros.workers import end_with, ONE_THREAD
import numpy as np

Place = tuple[int, int]  # number of a group, of a rollout in it


class Rollout(HouseEnvironment):
    """An environment whose world others use as well."""

    def share(self, other: Rollout) -> None:
        """Use the world of another one, whose drawing context it keeps."""
        self._world = other._world

    def render(self) -> np.ndarray:
        """Give what the camera sees, as HouseEnvironment has it."""
        self.world.reset(*self.poses[-1])
        return super().render()

    def step(self, action: int) -> None:
        """Do one action, as HouseEnvironment has it."""
        self.world.reset(*self.poses[-1])
        super().step(action)


class Cabin:
    """The groups that one process drives."""

    def __init__(self, rollouts: int, steps: int, image_width: int) -> None:
        """rollouts: of a group. steps: of a rollout at most. image_width: pixels, of frames."""
        self._rollouts, self._steps, self._width = rollouts, steps, image_width
        self._groups: dict[int, list[Rollout]] = {}

    def begin(self, episodes: Mapping[int, int]) -> dict[int, str]:
        """Begin an episode of WALKS with each group; give the instructions."""
        said = {}
        for group, index in episodes.items():
            episode, truth = build_episode(WALKS, index)
            rollouts = self._of(group)
            for rollout in rollouts:
                rollout.share(rollouts[0])  # which is there once the first has begun
                rollout.start(episode, truth)
            said[group] = episode.instruction.text
        return said

    def look(self, places: Sequence[Place]) -> dict[Place, np.ndarray]:
        """Give what rollouts see: uint8 (h, w, 3), resized as the policy does."""
        return {
            (group, number): resize(self._groups[group][number].render(), self._width)
            for group, number in places
        }

    def act(self, actions: Mapping[Place, int]) -> list[Place]:
        """Do an action with each rollout; give those that go on."""
        left = []
        for (group, number), action in actions.items():
            rollout = self._groups[group][number]
            rollout.step(action)
            if not rollout.over:
                left.append((group, number))
        return left

    def arrived(self) -> dict[Place, bool]:
        """Tell which rollouts stopped where they were to, by the rule of evaluation."""
        return {
            (group, number): bool(rollout.metrics().sr)
            for group, rollouts in self._groups.items()
            for number, rollout in enumerate(rollouts)
        }

    def close(self) -> None:
        """Free the drawing contexts."""
        for rollouts in self._groups.values():
            rollouts[0].close()

    def _of(self, group: int) -> list[Rollout]:
        if group not in self._groups:
            first = Rollout(WALKS, max_steps=self._steps)
            others = [Rollout(WALKS, max_steps=self._steps) for _ in range(self._rollouts - 1)]
            self._groups[group] = [first, *others]
        return self._groups[group]


class Drivers:
    """
    Cabins in processes of their own, asked all at once; with one process, a cabin in this one.

    To be used in a `with` block, from the main thread. What a cabin raises is raised here, and
    RuntimeError where its process was killed.
    """

    def __init__(self, processes: int, rollouts: int, steps: int, image_width: int) -> None:
        """Take how many processes, and what a Cabin takes."""
        self._count, self._cabin = processes, (rollouts, steps, image_width)
        self._pipes: list[Connection] = []
        self._here: Cabin | None = None

    def __enter__(self) -> Drivers:
        with ExitStack() as stack:
            if self._count == 1:
                self._here = Cabin(*self._cabin)
                stack.callback(self._here.close)
            context = multiprocessing.get_context('spawn')  # drawing survives no fork
            for _ in range(self._count if self._here is None else 0):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, os.getpid(), self._cabin))
                process.start()
                theirs.close()
                stack.callback(process.join)
                stack.callback(ours.close)  # before it is waited for: it ends with the pipe
                self._pipes.append(ours)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin(self, episodes: Sequence[int]) -> list[str]:
        """Begin as Cabin.begin; give the instruction of each group."""
        said = self._ask('begin', dict(enumerate(episodes)))
        return [said[group] for group in range(len(episodes))]

    def look(self, places: Sequence[Place]) -> np.ndarray:
        """Give what rollouts see, in the order of `places`: uint8 (N, h, w, 3)."""
        seen = self._ask('look', places)
        return np.stack([seen[place] for place in places])

    def act(self, actions: Mapping[Place, int]) -> set[Place]:
        """Do actions as Cabin.act; give those that go on."""
        return {*self._ask('act', actions)}

    def arrived(self) -> dict[Place, bool]:
        """Tell as Cabin.arrived."""
        return self._ask('arrived', None)

    def _ask(self, name: str, what: Any) -> Any:
        """Ask all cabins, each for its groups; put the answers together."""
        if self._here is not None:
            return getattr(self._here, name)(*(() if what is None else (what,)))
        for number, pipe in enumerate(self._pipes):
            with suppress(BrokenPipeError):  # the answer will tell
                pipe.send((name, () if what is None else (self._share(what, number),)))
        answers = [_answer(pipe) for pipe in self._pipes]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        if isinstance(answers[0], list):
            return [one for answer in answers for one in answer]
        return {key: value for answer in answers for key, value in answer.items()}

    def _share(self, what: Any, number: int) -> Any:
        """Give the part of a cabin: that of the groups which it drives."""

        def mine(key: int | Place) -> bool:
            group = key if isinstance(key, int) else key[0]
            return group % self._count == number

        if isinstance(what, Mapping):
            return {key: value for key, value in what.items() if mine(key)}
        return [key for key in what if mine(key)]


def _answer(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except (EOFError, ConnectionResetError):
        return RuntimeError(
            'a process that drives was killed (out of memory?); the same command goes on'
        )


def _serve(pipe: Connection, parent: int, cabin: tuple[int, int, int]) -> None:
    """Do what comes through a pipe with a Cabin, until its other end is closed."""
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that trains decides
    os.environ.update(ONE_THREAD)
    mine = Cabin(*cabin)
    while True:
        try:
            name, arguments = pipe.recv()
        except EOFError:
            break
        try:
            pipe.send(getattr(mine, name)(*arguments))
        except Exception as error:
            pipe.send(error)
    mine.close()
