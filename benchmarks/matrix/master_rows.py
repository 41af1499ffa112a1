"""Faults of who commands: executors, publishers, actions by hand, and how the executor ends."""

from __future__ import annotations

import math
import signal

from geometry_msgs.msg import Twist
from janusvln_ros.actions import Action
from lifecycle_msgs.msg import Transition
from std_msgs.msg import String
from waiting import wait_for

from matrix.row import AT_ONCE, BRAKES, ENDS, Row
from matrix.scene import NODE_ENDS, Scene

MISTAKEN = """
import signal, sys
from janusvln_ros.motion.executor import Executor
from janusvln_ros.nodes import motion_executor
from janusvln_ros.nodes.motion_executor import main, MotionExecutor
update, mistakes = Executor.update, []
signal.signal(signal.SIGRTMIN, lambda *_: mistakes.append(1))
def failing(self, now):
    if mistakes:
        raise RuntimeError('a mistake in the program')
    return update(self, now)
def on_deactivate(self, state):
    raise RuntimeError('a mistake in the program')
Executor.update, MotionExecutor.on_deactivate = failing, on_deactivate
sys.exit(main(sys.argv[1:]))
"""
ENDED = 'the process ends'


def signaled(number: int) -> object:
    """Return what sends the executor a signal."""
    return lambda scene: scene.executor_process.send_signal(number)


def frozen_and_thawed(scene: Scene) -> None:
    """Freeze the executor, and let it go on when the base has long stopped by itself."""
    scene.executor_process.send_signal(signal.SIGSTOP)
    scene.insist(1.5)
    scene.executor_process.send_signal(signal.SIGCONT)


def restarted(scene: Scene) -> None:
    """Kill the executor in the middle of an episode, and start it again."""
    scene.executor_process.send_signal(signal.SIGKILL)
    scene.start_executor()
    scene.insist(20.0, lambda: scene.status.session_id != scene.session)


def second_publisher(scene: Scene) -> None:
    """Publish zeros where the executor's commands go."""
    other = scene.node.create_publisher(Twist, 'cmd_vel', 1)
    scene.node.create_timer(0.1, lambda: other.publish(Twist()))


def nudged(scene: Scene) -> None:
    """Command a small motion from elsewhere."""
    nudge = Twist()
    nudge.linear.x = 0.05
    scene.other.publish(nudge)


def has_joystick(scene: Scene) -> None:
    """Let another node publish on cmd_vel that is silent."""
    scene.other = scene.node.create_publisher(Twist, 'cmd_vel', 1)
    wait_for(lambda: scene.other.get_subscription_count() >= 3, 'the executor to listen')


def second_executor(scene: Scene) -> None:
    """Start one; the fault begins when it no longer listens for an e-stop, and could drive."""
    scene.start_executor()

    def could_drive() -> bool:
        return any(
            each.session_id != scene.session and 'just started' not in each.message
            for each in list(scene.statuses)
        )

    scene.insist(60.0, could_drive)
    scene.begins()


def asked_to_stop(scene: Scene) -> None:
    """Ask for STOP."""
    scene.asks = False
    scene.act(int(Action.STOP))


def falls_silent(scene: Scene) -> None:
    """Ask for nothing any more."""
    scene.asks = False


def asked_for_nonsense(scene: Scene) -> None:
    """Send what is no action in place of one."""
    scene.asks = False
    for fields in ({'action': 9}, {'action': 1, 'probabilities': [math.nan] * 4}):
        scene.act(**fields)


def told(words: str) -> object:
    """Return what sends a sentence in place of actions."""

    def begin(scene: Scene) -> None:
        scene.asks = False
        scene.sentences.publish(String(data=words))

    return begin


def changes(transition: int) -> object:
    """Return what asks for a transition of the executor's lifecycle."""
    return lambda scene: scene.change(transition)


def with_navigator(scene: Scene) -> None:
    """Let a navigator drive."""
    scene.navigate()


def with_slow_navigator(scene: Scene) -> None:
    """Let a navigator drive so slowly that its step outlasts the start of another."""
    scene.fast = 0.015
    scene.navigate()


def beside_the_old_one(scene: Scene) -> None:
    """Kill the navigator and start another; the fault begins when that one is there."""
    old = set(scene.navigators)
    scene.navigator.send_signal(signal.SIGKILL)
    scene.start_navigator()
    wait_for(lambda: set(scene.navigators) - old, 'the new navigator', 60.0)
    scene.begins()


COMMANDERS = (
    Row(
        'second publisher where our commands go',
        AT_ONCE,
        'FAULT that names it, until it is gone',
        0.8,
        second_publisher,
        '/bench',
    ),
    Row(
        'the same with `exclusive_command` false, once it commands a motion',
        AT_ONCE,
        'FAULT until it has been silent for 2 s',
        0.2,
        nudged,
        'somebody else commands',
        parameters=('exclusive_command:=false',),
        prepare=has_joystick,
        momentary=True,
    ),
    Row(
        'second executor',
        AT_ONCE,
        'FAULT of both that names it, until it is gone',
        1.0,
        second_executor,
        'another executor',
    ),
    Row('a STOP by hand', BRAKES, 'ready', 1.3, asked_to_stop, ''),
    Row('what is no action', ENDS, 'BAD_INPUT', 3.0, asked_for_nonsense, 'not one of|not finite'),
    Row('a sentence that is not understood', ENDS, 'BAD_INPUT', 3.0, told('fly away'), 'fly away'),
    Row('a sentence of 1 MB', ENDS, 'BAD_INPUT', 3.0, told('go ' * 350_000), 'characters'),
    Row(
        'nobody sends actions any more',
        BRAKES,
        'ready',
        2.0,
        falls_silent,
        'the navigator is silent',
        modes=('continuous',),
    ),
)
EXECUTOR = (
    *(
        Row(
            f'executor gets {number.name}',
            AT_ONCE,
            ENDED,
            0.2,
            signaled(number),
            'no status from motion_executor',
            prepare=with_navigator,
        )
        for number in NODE_ENDS
    ),
    Row(
        'executor gets SIGKILL',
        "the base's own timeout",
        'the episode ends',
        1.2,
        signaled(signal.SIGKILL),
        'no status from motion_executor',
        prepare=with_navigator,
        commands_zero=False,
    ),
    Row(
        'executor frozen',
        "the base's own timeout",
        'the episode ends',
        1.2,
        signaled(signal.SIGSTOP),
        'no status from motion_executor',
        prepare=with_navigator,
        commands_zero=False,
    ),
    Row(
        'executor frozen, and goes on after 1.5 s',
        "the base's own timeout",
        'FAULT for `recovery_time`; the motion is not taken up again',
        1.2,
        frozen_and_thawed,
        'clock jumped',
        commands_zero=False,
        momentary=True,
    ),
    Row(
        'executor killed and started again in an episode',
        "the base's own timeout",
        'the episode ends',
        1.2,
        restarted,
        'motion_executor',
        prepare=with_navigator,
        commands_zero=False,
    ),
    Row(
        'executor deactivated',
        BRAKES,
        'FAULT until it is active; the e-stop is heard all the same',
        1.3,
        changes(Transition.TRANSITION_DEACTIVATE),
        'not active',
    ),
    Row(
        'executor shut down (lifecycle)',
        BRAKES,
        'FAULT for good',
        1.3,
        changes(Transition.TRANSITION_ACTIVE_SHUTDOWN),
        'not active',
    ),
    Row(
        'a transition of its lifecycle fails',
        AT_ONCE,
        'unconfigured: FAULT until it is active',
        0.2,
        changes(Transition.TRANSITION_DEACTIVATE),
        'not active|transition',
        code=MISTAKEN,
    ),
    Row(
        'an exception in the executor',
        AT_ONCE,
        ENDED,
        0.2,
        signaled(signal.SIGRTMIN),
        'a mistake in the program',
        code=MISTAKEN,
    ),
)
