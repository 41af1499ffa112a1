"""Faults of what the robot itself is: e-stop, odometry, wheels, time."""

from __future__ import annotations

import signal

from faults import FAULTS
from janusvln_ros.msg import MotionStatus
from janusvln_ros.nodes.common.qos import LATCHED
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Bool, String
from waiting import wait_for

from matrix.row import AT_ONCE, BOTH, Row, STANDS
from matrix.scene import Scene

RESET = 'FAULT until `reset_e_stop`'
RECOVERY = 'FAULT until it has been good for `recovery_time` 1 s'
UNTIL_BACK = 'FAULT until it is back'
AGAIN = 'BLOCKED; the same kind of motion is refused for some 2.5 s'
THEN = {
    **dict.fromkeys(('frozen', 'yaw frozen', 'stalled'), AGAIN),
    **dict.fromkeys(
        ('late by its stamps', 'stamps old', 'stamps ahead', 'not a number', 'jumps'), RECOVERY
    ),
    'late': 'BLOCKED; FAULT until `reset_e_stop` once the late answer is seen',
    'silent': UNTIL_BACK,
}


def published(name: str, share: float = 0.5) -> object:
    """Return what tells the base to break."""
    return lambda scene: scene.faults.publish(
        String(data=f'{name} {share}' if name in FAULTS else name)
    )


def pressed(scene: Scene) -> None:
    """Press the button."""
    scene.button.publish(Bool(data=True))


def pressed_and_restarted(scene: Scene) -> None:
    """Press the button, and kill the executor and start it again."""
    pressed(scene)
    wait_for(lambda: scene.status.state == MotionStatus.STATE_ESTOPPED, 'the e-stop')
    scene.executor_process.send_signal(signal.SIGKILL)
    scene.start_executor()
    scene.insist(20.0, lambda: scene.status.session_id != scene.session)


def with_heartbeat(scene: Scene) -> None:
    """Let a button say ten times a second that it is not pressed."""
    scene.add_button(10, beats=True)
    scene.ready()


def falls_silent(scene: Scene) -> None:
    """End the button's heartbeat."""
    scene.heartbeat.cancel()


SIM_TIME = {
    'parameters': ('use_sim_time:=true',),
    'base': ('--speed', '1'),
    'prepare': Scene.takes_sim_time,
    'momentary': True,
}
LATCHES = 'ESTOPPED until all buttons are released and `reset_e_stop`'
E_STOP = (
    *(
        Row(
            f'e-stop, {name}',
            AT_ONCE,
            LATCHES,
            0.1,
            pressed,
            'e-stop',
            BOTH,
            prepare=lambda scene, quality=quality: scene.add_button(quality),
        )
        for name, quality in (
            ('reliable', 10),
            ('best effort', qos_profile_sensor_data),
            ('transient local', LATCHED),
        )
    ),
    Row(
        'e-stop, latched; then the executor is killed and starts again',
        AT_ONCE,
        'it listens before any motion; ESTOPPED',
        0.1,
        pressed_and_restarted,
        'e-stop',
        prepare=lambda scene: scene.add_button(LATCHED),
    ),
    Row(
        'e-stop falls silent (`e_stop_heartbeat` 0.5 s)',
        AT_ONCE,
        'as if pressed',
        0.6,
        falls_silent,
        'e_stop is silent',
        BOTH,
        parameters=('e_stop_heartbeat:=0.5',),
        prepare=with_heartbeat,
        ready=False,
    ),
    Row(
        'no e-stop is heard (`e_stop_required`)',
        STANDS,
        'FAULT until it is heard',
        None,
        says='nothing has been heard on e_stop',
        parameters=('e_stop_required:=true',),
        ready=False,
    ),
)
ODOMETRY = (
    *(
        Row(
            name if fault.part == 'wheels' else f'odometry {name}',
            AT_ONCE,
            THEN.get(name, RESET),
            fault.seconds,
            published(name),
            wishes=tuple(wish for wish, counts in zip(BOTH, (fault.way, fault.turn)) if counts),
            momentary=fault.momentary,
            again=True,
        )
        for name, fault in FAULTS.items()
        if fault.part in ('odometry', 'wheels', 'jump')
    ),
    Row(
        'odometry of another frame',
        AT_ONCE,
        RECOVERY,
        0.1,
        published('frames'),
        'two programs',
        momentary=True,
    ),
    Row('odometry whose variance is "unknown"', AT_ONCE, RECOVERY, 0.1, published('variance')),
    Row('odometry whose quaternion is no rotation', AT_ONCE, RECOVERY, 0.1, published('rotation')),
)
TIME = (
    Row(
        'ROS time jumps back',
        AT_ONCE,
        'FAULT for `recovery_time`',
        0.1,
        published('clock_back'),
        **SIM_TIME,
    ),
    Row(
        'ROS time jumps ahead',
        AT_ONCE,
        'FAULT for `recovery_time`',
        0.1,
        published('clock_ahead'),
        **SIM_TIME,
    ),
    Row(
        'ROS time stands still',
        AT_ONCE,
        'FAULT until it goes on',
        0.5,
        published('clock_freeze'),
        **SIM_TIME,
    ),
    Row(
        '`use_sim_time` without a clock',
        STANDS,
        'FAULT until it comes',
        None,
        says='clock',
        parameters=('use_sim_time:=true',),
        ready=False,
    ),
    Row(
        'a motion takes too long (`time_allowance` 0.5 s)',
        'brakes',
        'TIMEOUT',
        3.5,
        says='.',
        modes=('step',),
        parameters=('time_allowance:=0.5', 'max_linear_acceleration:=0.1'),
        momentary=True,
    ),
)
