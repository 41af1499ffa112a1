"""Faults of the navigator, its camera, its instructions, and of the simulator."""

from __future__ import annotations

from collections.abc import Callable
import signal
from typing import Any

from waiting import wait_for

from matrix.master_rows import beside_the_old_one, with_navigator, with_slow_navigator
from matrix.robot_rows import published
from matrix.row import AT_ONCE, BRAKES, ENDS, nothing, Row, STANDS
from matrix.scene import NODE_ENDS, Scene

SOON = 'navigator_timeout:=1.0'
STOPS = f'{ENDS}, or {BRAKES}'
EPISODE = 'the episode ends'
LONG = 'go ' * 350_000


def gets(number: int) -> Callable[[Scene], None]:
    """Return what sends the navigator a signal."""
    return lambda scene: scene.navigator.send_signal(number)


def looks(**values: Any) -> Callable[[Scene], None]:
    """Return what makes the camera's pictures wrong."""
    return lambda scene: vars(scene).update(values)


def repeats_itself(scene: Scene) -> None:
    """Let the camera send the same stamp for ever."""
    scene.image_stamp = scene.node.get_clock().now().to_msg()


def told(words: str, *parameters: str) -> Callable[[Scene], None]:
    """Return what starts a navigator and gives it an instruction."""
    return lambda scene: scene.navigate(words, *parameters)


def canceled(scene: Scene) -> None:
    """Cancel the goal."""
    scene.goal.cancel_goal_async()


def second_navigator(scene: Scene) -> None:
    """Start another navigator; the fault begins when it is there."""
    old = set(scene.navigators)
    scene.start_navigator()
    wait_for(lambda: set(scene.navigators) - old, 'the second navigator', 60.0)
    scene.begins()


def in_another_mode(scene: Scene) -> None:
    """Start a navigator that does not decide as the executor executes."""
    other = {'step': 'continuous', 'continuous': 'step'}[scene.mode]
    scene.navigate('F', f'execution_mode:={other}')


def drives_into_furniture(scene: Scene) -> None:
    """Drive until something is in the way; the fault begins when it slows the base down."""

    def touched() -> bool:
        commanded = scene.commands[-1][1]
        return commanded > 0.15 and scene.truth.twist.twist.linear.x < 0.4 * commanded

    scene.insist(60.0, touched)
    scene.begins()


def unanswered(scene: Scene) -> str:
    """Say that the client of a goal has no result."""
    return '' if scene.answered else 'the client of the goal has no result'


def ended(scene: Scene) -> str:
    """Say that the navigator did not end, or its client has no result."""
    return unanswered(scene) or ('' if scene.navigator.poll() is not None else 'it did not end')


def row(
    name: str,
    begin: Callable[[Scene], object],
    says: str,
    limit: float = 3.0,
    how: str = STOPS,
    then: str = EPISODE,
    prepare: Callable[[Scene], object] = with_navigator,
    **more: Any,
) -> Row:
    """Return a row about a robot that a navigator drives."""
    more = {'after': unanswered, 'parameters': (SOON,), **more}
    return Row(name, how, then, limit, begin, says, prepare=prepare, **more)


def at_work(name: str, words: str, says: str, *parameters: str, **more: Any) -> Row:
    """Return a row about a policy that goes wrong at its second decision."""
    return row(name, nothing, says, prepare=told(words, *parameters), **more)


POLICY = (
    at_work(
        'the policy hangs (`decision_timeout` 1 s)',
        'F hang',
        'decision_timeout',
        'decision_timeout:=1.0',
        then='the episode and the process end',
        after=ended,
    ),
    at_work('an exception in the policy', 'F X', 'the script says so'),
    at_work('an exception in `memory_usage`', 'F full', 'nobody knows'),
    at_work('a decision that is none', 'F nonsense', 'no decision'),
    at_work(
        'the policy ends the process',
        'F SystemExit',
        'policy thread ended',
        then='the episode and the process end',
        after=ended,
    ),
)
NAVIGATOR = (
    *(
        row(
            f'navigator gets {number.name}, a goal under way',
            gets(number),
            'the navigator ends',
            how=BRAKES,
            then='the client gets CANCELED; the process ends',
            after=ended,
        )
        for number in NODE_ENDS
    ),
    row(
        'navigator gets SIGTERM while the policy hangs',
        gets(signal.SIGTERM),
        'the navigator ends',
        prepare=told('F hang'),
        how=BRAKES,
        then='the client gets CANCELED; the process ends',
        after=ended,
    ),
    row(
        'navigator gets SIGKILL',
        gets(signal.SIGKILL),
        'the navigator is silent',
        then='ready',
        after=lambda scene: '',
        modes=('continuous',),
    ),
    row(
        'navigator frozen',
        gets(signal.SIGSTOP),
        'the navigator is silent',
        then='ready',
        after=lambda scene: '',
        modes=('continuous',),
    ),
    row(
        'navigator killed or frozen',
        gets(signal.SIGSTOP),
        '',
        how=ENDS,
        limit=3.0,
        then='ready',
        after=lambda scene: '',
        modes=('step',),
    ),
    row(
        'navigator killed and started again, its action under way',
        beside_the_old_one,
        'restarted',
        2.3,
        BRAKES,
        'ready; CANCELED',
        modes=('step',),
        parameters=('max_linear_speed:=0.02',),
        prepare=with_slow_navigator,
        after=lambda scene: '',
    ),
    row('the goal is canceled', canceled, 'canceled', 1.4, BRAKES),
    row(
        'a second navigator',
        second_navigator,
        'two navigators|another navigator',
        2.0,
        AT_ONCE,
        'FAULT until one has been silent for 2 s',
    ),
    row(
        'navigator and executor in different modes',
        nothing,
        'both the same',
        None,
        STANDS,
        'the goal is refused',
        prepare=in_another_mode,
        after=lambda scene: '',
    ),
    row(
        'an instruction of 1 MB',
        nothing,
        '2000 are taken',
        None,
        STANDS,
        'the goal is refused',
        prepare=told(LONG),
        after=lambda scene: '',
    ),
    row(
        'navigator with `use_sim_time`, without a clock',
        nothing,
        '/clock',
        None,
        STANDS,
        'the goal is refused',
        prepare=told('F', 'use_sim_time:=true'),
        after=lambda scene: '',
    ),
    row(
        'a wall, and a navigator that goes on asking',
        published('stalled'),
        'wall|slip|motions failed',
        1.0,
        AT_ONCE,
        EPISODE,
        again=True,
    ),
)
CAMERA = (
    row('pictures one hour old', looks(image_offset=-3600.0), 'taken 3600'),
    row('pictures stamped a day ahead', looks(image_offset=86400.0), 'ahead of the clock'),
    row('a camera 0.8 s late, its clock 5 s ahead', looks(image_offset=4.2), 'ahead of the clock'),
    row('pictures that repeat their stamp', repeats_itself, 'no usable camera frame'),
    row('camera silent', looks(image_size=(0, 0)), 'no usable camera frame'),
    row('pictures of another size', looks(image_size=(60, 80)), 'size|60'),
)
SIMULATOR = (
    Row(
        'pressed against furniture in sim_robot',
        AT_ONCE,
        'BLOCKED, or FAULT until `reset_e_stop` where it slips',
        1.0,
        drives_into_furniture,
        'a wall|slip|pushed|touch',
        simulator=True,
        again=True,
    ),
    *(
        Row(
            f'sim_robot gets {number.name}',
            AT_ONCE,
            'FAULT until odometry is back',
            0.6 if number == signal.SIGKILL else 1.5,  # it takes a moment to end
            lambda scene, number=number: scene.base_process.send_signal(number),
            'odometry is silent',
            simulator=True,
        )
        for number in (*NODE_ENDS, signal.SIGKILL)
    ),
)
