"""The executor under random inputs: limits, finite numbers, and a standing robot at the end."""

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st
from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.executor import Executor
from janusvln_ros.motion.geometry import Pose
from janusvln_ros.motion.testing import BaseConfig, BaseModel, ClosedLoop
from janusvln_ros.motion.types import Mode, Request, Result, State
import pytest
from robot import settings as configuration
from robot import ZERO
from sights import see, wall

pytestmark = pytest.mark.slow
MODES = st.sampled_from([mode.value for mode in Mode])
AXES = st.tuples(st.floats(0.1, 1.5), st.floats(0.2, 3.0), st.floats(1.0, 20.0))
LINEAR = ('max_linear_speed', 'max_linear_acceleration', 'max_linear_jerk')
ANGULAR = ('max_angular_speed', 'max_angular_acceleration', 'max_angular_jerk')
BASES = st.builds(
    BaseConfig, delay=st.floats(0.0, 0.2), scale=st.floats(0.8, 1.2), drift=st.floats(-0.2, 0.2)
)
ACTIONS = st.integers(0, 3)
FAULTS = (Result.BLOCKED, Result.BAD_INPUT, Result.DROPPED)  # what waited is dropped
NUMBERS = st.sampled_from([0.0, 1.0, -7.0, 1e9, math.nan, math.inf, -math.inf])


def robot_with(config, base=None):
    robot = ClosedLoop(Executor(config), BaseModel(base))
    robot.run(0.3)
    return robot


def send(robot, action, step, stamp=0.0):
    command = Command.from_action(action, 0.25, math.radians(15.0))
    return robot.executor.on_request(Request(command, stamp, 'a', step, action), robot.now)


def within(limits, rate, before, dt):
    """Tell whether a rate of change keeps to the limits; 1e-4 of the speed counts as zero."""
    change = limits.jerk * dt + 2e-4 * limits.speed / dt
    return abs(rate) <= limits.acceleration + 1e-6 and abs(rate - before) <= change + 1e-6


def keeps_limits(robot, config, actions):
    """Drive to the end of all actions; False once it drops to zero at once, against the limits."""
    waits = [(0.0, None)] + [(wait, action) for action, wait in actions] + [(20.0, None)]
    limits, dt = (config.driving.linear, config.driving.angular), 0.02
    last, rates = (0.0, 0.0), (0.0, 0.0)
    for step, (wait, action) in enumerate(waits):
        if action is not None:
            send(robot, action, step, robot.now - 0.1)
        for _ in range(round(wait / dt)):
            velocity = robot.tick() or ZERO
            now = (velocity.linear, velocity.angular)
            assert all(abs(speed) <= axis.speed + 1e-9 for speed, axis in zip(now, limits))
            new = tuple((speed - before) / dt for speed, before in zip(now, last))
            if not all(within(axis, *rate, dt) for axis, rate in zip(limits, zip(new, rates))):
                assert velocity == ZERO
                return False
            last, rates = now, new
    return True


@settings(max_examples=60, deadline=None)
@given(MODES, AXES, AXES, BASES, st.lists(st.tuples(ACTIONS, st.floats(0.0, 1.5)), max_size=6))
@example(
    'continuous',
    (0.1015625, 1.0, 19.0),
    (1.0, 1.0, 1.0),
    BaseConfig(),
    [(1, 1.0), (0, 0.1875), (1, 0.0)],
)  # a goal in the tick it comes to rest
@example(
    'continuous', (1.0, 1.0, 2.0), (0.5, 1.0, 1.0), BaseConfig(drift=0.1875), [(1, 1.0), (1, 0.0)]
)  # the drift undoes what is commanded, which is a fault
@example(
    'step', (1.0, 3.0, 15.5), (1.0, 1.0, 1.0), BaseConfig(scale=0.80078125), [(1, 0.0)]
)  # a fifth too slow, and late as well: a fault at a speed that is low already
def test_commands_keep_every_limit(mode, linear, angular, base, actions):
    """STOP and new goals included; only faults may drop to zero at once."""
    config = configuration(
        execution_mode=mode,
        navigator_timeout=0.0,
        **dict(zip(LINEAR, linear)),
        **dict(zip(ANGULAR, angular)),
    )
    robot = robot_with(config, base)
    if not keeps_limits(robot, config, actions):
        assert base.drift or base.scale < 0.85  # others do what is commanded
        robot.run(20.0)
        assert robot.executor.status.result in FAULTS
    assert robot.executor.stands and robot.commanded is None
    assert robot.base.linear == robot.base.angular == 0.0


@settings(max_examples=60, deadline=None)
@given(BASES, st.sampled_from([1, 2, 3]))
def test_every_step_ends_where_it_should(base, action):
    robot = robot_with(configuration(), base)
    send(robot, action, 0)
    robot.run_until_standing()
    forward, left, turn = robot.base.pose.seen_from(Pose())
    assert robot.executor.status.result is Result.SUCCEEDED
    ideal = {1: (0.25, 0.0), 2: (0.0, math.radians(15.0)), 3: (0.0, -math.radians(15.0))}[action]
    assert math.hypot(forward - ideal[0], left) < 0.02
    assert abs(turn - ideal[1]) < math.radians(1.5)


EVENTS = st.one_of(
    st.tuples(st.just('action'), ACTIONS),
    st.tuples(st.just('move'), NUMBERS),
    st.tuples(st.just('turn'), NUMBERS),
    st.tuples(st.just('wait'), st.floats(0.0, 2.0)),
    st.tuples(st.just('e_stop'), st.booleans()),
    st.tuples(st.just('reset'), st.none()),
    st.tuples(st.just('odometry'), st.tuples(NUMBERS, NUMBERS, NUMBERS)),
    st.tuples(st.just('silence'), st.floats(0.0, 2.0)),
    st.tuples(st.just('clock'), st.sampled_from([-50.0, -0.5, 0.0, 0.9, 3.0, 1e5])),
    st.tuples(st.just('outside'), st.none()),
    st.tuples(st.just('clear'), st.sampled_from([0.1, 0.4, 0.7, math.inf])),
    st.tuples(st.just('navigator'), st.none()),
    st.tuples(st.just('done'), NUMBERS),
    st.tuples(st.just('active'), st.booleans()),
    st.tuples(st.just('masters'), st.sampled_from([[], ['/teleop']])),
    st.tuples(st.just('session'), st.sampled_from(['one', 'two'])),
    st.tuples(st.just('owner'), st.sampled_from([None, 'one', 'two'])),
)


@settings(max_examples=150, deadline=None)
@given(
    MODES, st.booleans(), st.booleans(), st.sampled_from([0.0, 0.3]), st.lists(EVENTS, max_size=25)
)
def test_whatever_happens_ends_in_a_standing_robot(mode, open_loop, commands, distance, events):
    config = configuration(
        execution_mode=mode,
        allow_open_loop=open_loop,
        output='command' if commands else 'velocity',
        stop_distance=distance,
        time_allowance=3.0,
    )
    robot = robot_with(config)
    executor, offset = robot.executor, 0.0
    pressed = False

    def tick(odometry=True):
        robot.base.advance(0.02)
        now = robot.now + offset
        if odometry:
            pose = robot.base.pose
            executor.on_odometry(now, pose.x, pose.y, pose.yaw, now)
        velocity = executor.update(now)
        if velocity is not None:
            assert math.isfinite(velocity.linear) and math.isfinite(velocity.angular)
            assert abs(velocity.linear) <= config.driving.max_linear_speed + 1e-9
            assert abs(velocity.angular) <= config.driving.max_angular_speed + 1e-9
            robot.base.command(velocity.linear, velocity.angular)
        if executor.state in (State.FAULT, State.ESTOPPED):
            assert velocity in (None, ZERO)
        if commands:
            assert velocity is None
        status = executor.status
        assert math.isfinite(status.progress) or commands
        assert status.motion_end <= now
        return velocity

    for step, (event, value) in enumerate(events):
        now = robot.now + offset
        if event == 'action':
            send(robot, value, step)
        elif event in ('move', 'turn'):
            kind = Kind.MOVE if event == 'move' else Kind.TURN
            executor.on_request(Request(Command(kind, value)), now)
        elif event == 'wait':
            for _ in range(round(value / 0.02)):
                tick()
        elif event == 'e_stop':
            pressed = value
            executor.on_e_stop(value, now)
            assert not value or executor.base.velocity == ZERO
        elif event == 'reset':
            assert executor.e_stop.reset()[0] == (not pressed)
        elif event == 'odometry':
            executor.on_odometry(now + 0.001, *value, now)
        elif event == 'silence':
            for _ in range(round(value / 0.02)):
                tick(odometry=False)
        elif event == 'clock':
            offset += value
            tick()
        elif event == 'outside':
            executor.fail('outside')
        elif event == 'clear':
            see(executor.obstacles, wall(value), now)
        elif event == 'navigator':
            executor.link.on_navigator(now)
        elif event == 'done':
            executor.on_done('a', step - 1, value, now)
        elif event == 'active':
            executor.activity.active = value
        elif event == 'masters':
            executor.masters.see(value, [])
        elif event == 'session':
            executor.navigators.hear(value, True, now)
        elif event == 'owner':
            executor.owner.session = value
        executor.base.take_command()
    executor.on_e_stop(True, robot.now + offset)
    for _ in range(150):
        assert tick() in (None, ZERO)
    assert executor.stands and tick() is None
    assert robot.base.linear == robot.base.angular == 0.0
    # and it can be used again
    executor.on_e_stop(False, robot.now + offset)
    executor.e_stop.reset()
    executor.activity.active = True
    executor.masters.see([], [])
    for _ in range(100):
        tick()
    assert executor.state is State.IDLE
