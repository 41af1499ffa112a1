"""What may break in the whole system, one trouble by one, for benchmarks/navigation_soak.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math
import signal
from typing import TYPE_CHECKING

from faults import Fault, FAULTS, PUSH
import numpy as np
import soak_ledger  # noqa: F401 - it tells where faults is
from std_msgs.msg import Bool

if TYPE_CHECKING:
    from navigation_soak import Life


@dataclass(frozen=True)
class Trouble(Fault):
    """
    A fault of the whole system; `begin` and `end` are told the life in which it occurs.

    meanwhile: what goes on while it lasts, ten times a simulated second. restarts: a node. button:
    the kind of e-stop that it needs. wall: `seconds` are of the wall's time. least: m/s and rad/s
    that count as motion.
    """

    begin: Callable[[Life, float], object]
    end: Callable[[Life], object] = lambda life: life.link.mend()
    meanwhile: Callable[[Life], object] = lambda life: life.insist()
    restarts: bool = False
    button: str = ''
    wall: bool = False
    least: tuple[float, float] = (0.0, 0.0)


def sees(stamp: Callable[[float, float], float | None]) -> Callable[[Life, float], None]:
    """Return what breaks the camera; stamp: of stamp and share."""

    def begin(life: Life, share: float) -> None:
        life.link.camera = lambda taken: stamp(taken, share)

    return begin


def scans(ranges: Callable[[np.ndarray], np.ndarray | None]) -> Callable[[Life, float], None]:
    """Return what breaks the obstacle sensor."""

    def begin(life: Life, share: float) -> None:
        life.link.scanner = ranges

    return begin


def signals(name: str, number: int) -> Callable[[Life, float], None]:
    """Return what sends a signal to a node, and waits where it ends that."""

    def begin(life: Life, share: float) -> None:
        life.nodes[name].send_signal(number)
        if number != signal.SIGSTOP:
            life.forget(name)

    return begin


def goes_on(name: str) -> Callable[[Life], None]:
    return lambda life: life.nodes[name].send_signal(signal.SIGCONT)


def presses(life: Life, share: float) -> None:
    """Press the e-stop."""
    life.button.publish(Bool(data=True))


def starts_executor_again(life: Life, share: float) -> None:
    """Kill the executor and start it at once; the navigator's episode is still under way."""
    signals('motion_executor', signal.SIGKILL)(life, share)
    life.start('motion_executor')


def presses_and_starts_again(life: Life, share: float) -> None:
    """Press a button that latches, and start the executor again."""
    presses(life, share)
    starts_executor_again(life, share)


STEP_TIME = 3.5  # s of a step that is finished, its decision included
# Too slow for odometry to be judged: below response_margin in 0.8 s, as just before an obstacle.
CREEPING = 0.05, 0.1  # m/s, rad/s
NOBODY = 0.5 + 0.7  # s until a base stops by itself, and braking
TROUBLES = {
    **{
        name: Trouble(
            seconds=fault.seconds,
            least=CREEPING if fault.seconds >= PUSH else (0.0, 0.0),
            begin=lambda life, share, fault=fault: fault.begin(life.link, share),
            meanwhile=Trouble.meanwhile if not fault.momentary else lambda life: None,
            **{key: getattr(fault, key) for key in ('way', 'turn', 'momentary', 'steps')},
        )
        for name, fault in (
            (key if each.part == 'wheels' else f'odometry {key}', each)
            for key, each in FAULTS.items()
            if each.part in ('odometry', 'wheels', 'jump')
        )
    },
    'camera silent': Trouble(sees(lambda taken, share: None), STEP_TIME),
    'camera old': Trouble(sees(lambda taken, share: taken - 3.0 - 3600.0 * share), STEP_TIME),
    'camera ahead': Trouble(sees(lambda taken, share: taken + 0.5 + 3600.0 * share), STEP_TIME),
    'scan silent': Trouble(scans(lambda ranges: None), 0.7),
    'scan of NaN': Trouble(scans(lambda ranges: np.full_like(ranges, math.nan)), 0.7),
    'scan of 0.0': Trouble(scans(np.zeros_like), 0.7),
    'scan too near': Trouble(
        scans(lambda ranges: np.full_like(ranges, -math.inf)), 0.7, turn=False
    ),
    'scan of an obstacle': Trouble(
        scans(lambda ranges: np.minimum(ranges, 0.35)), 0.7, turn=False
    ),
    **{
        f'e-stop {kind}': Trouble(presses, 0.1, end=lambda life: life.release(), button=kind)
        for kind in ('reliable', 'best effort', 'transient local')
    },
    'e-stop, executor restarted': Trouble(
        presses_and_starts_again,
        NOBODY,
        end=lambda life: life.release(),
        restarts=True,
        button='transient local',
    ),
    'second cmd_vel publisher': Trouble(
        lambda life, share: life.rival(True), 1.0, end=lambda life: life.rival(False), wall=True
    ),
    'second navigator': Trouble(
        lambda life, share: None, 1.2, meanwhile=lambda life: life.act_besides()
    ),
    'navigator paused': Trouble(
        signals('navigator', signal.SIGSTOP), STEP_TIME, end=goes_on('navigator')
    ),
    'executor paused': Trouble(
        signals('motion_executor', signal.SIGSTOP), NOBODY, end=goes_on('motion_executor')
    ),
    'simulator paused': Trouble(
        signals('sim_robot', signal.SIGSTOP), 0.5, end=goes_on('sim_robot')
    ),
    **{
        f'navigator gets {number.name}': Trouble(
            signals('navigator', number),
            STEP_TIME,
            end=lambda life: life.start('navigator'),
            restarts=True,
        )
        for number in (signal.SIGKILL, signal.SIGTERM)
    },
    'executor gets SIGKILL': Trouble(
        signals('motion_executor', signal.SIGKILL),
        NOBODY,
        end=lambda life: life.start('motion_executor'),
        restarts=True,
    ),
    **{
        f'executor gets {number.name}': Trouble(
            signals('motion_executor', number),
            0.2,
            end=lambda life: life.start('motion_executor'),
            restarts=True,
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    },
    'executor restarted': Trouble(
        starts_executor_again, NOBODY, meanwhile=lambda life: None, restarts=True
    ),
}
