"""Parameters of the navigator."""

from __future__ import annotations

from dataclasses import dataclass

from janusvln_ros.navigation.mission import Limits
from janusvln_ros.parameters import parameter
from janusvln_ros.policy.options import PolicyOptions


@dataclass(frozen=True)
class NavigatorParameters(PolicyOptions):
    """What is fixed once the node is configured."""

    image_transport: str = parameter(
        'raw', 'raw: topic image; compressed: image/compressed.', choices=('raw', 'compressed')
    )
    image_reliability: str = parameter(
        'best_effort',
        'QoS of the image subscription; best_effort hears every publisher.',
        choices=('best_effort', 'reliable'),
    )
    heartbeat_rate: float = parameter(
        5.0, 'navigator_status messages per second, at least.', low=1.0, high=50.0
    )
    autostart: bool = parameter(False, 'Configure and activate on start; end if that fails.')


@dataclass(frozen=True)
class EpisodeParameters:
    """What can be changed at run time; holds from the next instruction on."""

    execution_mode: str = parameter(
        'step',
        'step: decide from a frame taken after the last motion ended; continuous: keep '
        "deciding while the robot moves. The same as motion_executor's.",
        choices=('step', 'continuous'),
    )
    decision_period: float = parameter(
        0.5, 'Least time between decisions in continuous mode, s.', low=0.0, high=60.0
    )
    max_steps: int = parameter(
        400, 'Decisions after which an episode ends with TIMEOUT.', low=1, high=100000
    )
    max_duration: float = parameter(
        1800.0, 'Time after which an episode ends with TIMEOUT, s.', low=1.0, high=1e6
    )
    frame_timeout: float = parameter(
        2.0,
        'Wait for a usable frame, and age of a frame, that end an episode as INPUT_LOST, s.',
        low=0.1,
        high=600.0,
    )
    status_timeout: float = parameter(
        2.0,
        'Silence or fault of motion_executor that ends an episode with INPUT_LOST, s.',
        low=0.1,
        high=600.0,
    )
    motion_timeout: float = parameter(
        30.0,
        'Wait for the end of a motion that ends an episode with MOTION_FAILED, s.',
        low=0.5,
        high=600.0,
    )
    spin_steps: int = parameter(
        30, 'Turns in one direction in a row that count as STUCK.', low=2, high=100000
    )
    dither_steps: int = parameter(
        12, 'Turns in a row, to and fro, that count as STUCK.', low=4, high=100000
    )
    push_steps: int = parameter(
        5, 'Forward motions without movement that count as STUCK.', low=1, high=100000
    )
    push_distance: float = parameter(
        0.05, 'Movement below which a forward motion was none, m.', low=0.0, high=0.25
    )
    max_failed_motions: int = parameter(
        5,
        'Motions failing in a row that end an episode with BLOCKED or MOTION_FAILED.',
        low=1,
        high=1000,
    )
    max_recoveries: int = parameter(
        0,
        'Times that a stuck robot takes its likeliest other action before STUCK.',
        low=0,
        high=1000,
    )

    def limits(self) -> Limits:
        """Return them as the state machine takes them."""
        values = dict(vars(self))
        return Limits(continuous=values.pop('execution_mode') == 'continuous', **values)
