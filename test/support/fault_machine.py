"""A robot, its user and its faults, in any order: what hypothesis searches for a way too far."""

from __future__ import annotations

from dataclasses import dataclass
import math

from faults import FAULTS, FaultyRobot, SLACK, STEP, STEP_ANGLE
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, RuleBasedStateMachine
from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.safety.e_stop import Origin
from janusvln_ros.motion.sequence import Sequence
from janusvln_ros.motion.testing import BaseConfig
from janusvln_ros.motion.types import Mode, Request, State
from robot import FORWARD, LEFT, RIGHT, ZERO

ACTIONS = st.sampled_from([FORWARD, LEFT, RIGHT])
SHARES = st.integers(0, 20).map(lambda twentieths: twentieths / 20.0)
SECONDS = st.integers(0, 30).map(lambda tenths: tenths / 10.0)
TENTHS = st.integers(1, 9).map(lambda tenths: tenths / 10.0)
LONG = st.integers(1, 30)  # s
PARTS = st.one_of(
    st.builds(Command, st.just(Kind.MOVE), st.sampled_from([0.1, 0.25, 0.6, 3.0])),
    st.builds(
        Command, st.just(Kind.TURN), st.sampled_from([0.2, -0.2, 0.5, -0.5, 1.6, -1.6, 6.0, -6.0])
    ),
)
SLOW, SLOW_TURN = 0.05, 0.1  # m/s, rad/s: a robot that is told less may look for its goal
PERIOD = 0.5  # s between two decisions in continuous mode


@dataclass
class Lasting:
    """
    A fault that lasts: since when (s), and what had been driven (m) by then.

    yaw: which way the robot looked then (rad). turned: the most that it has looked elsewhere.
    """

    since: float
    way: float
    yaw: float
    turned: float = 0.0


class FaultMachine(RuleBasedStateMachine):
    """The invariant is looked at in every tick; a violation says what has happened."""

    ended = False  # by a violation

    @initialize(
        mode=st.sampled_from([mode.value for mode in Mode]),
        delay=st.sampled_from([0.05, 0.0, 0.1]),
        odometry_delay=st.sampled_from([0.02, 0.05]),
        every=st.sampled_from([1, 2, 5, 10]),  # of 50 Hz
        scale=st.sampled_from([1.0, 0.9, 1.1]),
    )
    def start(
        self, mode: str, delay: float, odometry_delay: float, every: int, scale: float
    ) -> None:
        self.lasting: dict[str, Lasting] = {}
        self.buttons: set[int] = set()  # that are pressed
        self.said = [0, 0]  # messages of each button
        self.step = 0
        self.must_stand = True  # until a request is accepted
        self.driving = {'way': math.nan, 'turn': math.nan}  # since when
        self.sequence = Sequence()
        base = BaseConfig(delay=delay, odometry_delay=odometry_delay, scale=scale)
        self.robot = FaultyRobot(base, every, execution_mode=mode)
        self.continuous = mode == Mode.CONTINUOUS.value
        self.slack = SLACK + 0.02 * every

    # ---- what the user does ----

    @rule(action=ACTIONS, seconds=SECONDS)
    def acts(self, action: int, seconds: float) -> None:
        """One action, and some time."""
        self._ask_action(action)
        self._run(seconds)

    @rule(action=ACTIONS, seconds=st.integers(1, 8))
    def keeps_going(self, action: int, seconds: int) -> None:
        """One action after the other, as a policy sends them."""
        self._insist(action, seconds)

    @rule(action=ACTIONS, on=TENTHS, off=TENTHS, seconds=st.integers(1, 12))
    def storms(self, action: int, on: float, off: float, seconds: int) -> None:
        """Stop every action before its end, and ask for it again."""
        if {'creeping', 'late', 'too much'} & {*self.lasting}:
            return  # what is commanded in a storm looks the same
        end = self.robot.base.time + seconds
        while self.robot.base.time < end:
            self._ask_action(action)
            self._run(on)
            self.robot.act(0)
            self._run(off)

    @rule(actions=st.lists(ACTIONS, min_size=2, max_size=3), every=TENTHS, seconds=LONG)
    def alternates(self, actions: list[int], every: float, seconds: int) -> None:
        """Ask for one action after the other, before the one before has ended."""
        end = self.robot.base.time + seconds
        while self.robot.base.time < end:
            for action in actions:
                self._ask_action(action)
                self._run(every)

    @rule(parts=st.lists(PARTS, min_size=1, max_size=3), seconds=SECONDS)
    def says(self, parts: list[Command], seconds: float) -> None:
        """Ask for several steps in one sentence."""
        self._ask(self.sequence.begin([Request(part) for part in parts]))
        self._run(seconds)

    @rule(seconds=SECONDS)
    def waits(self, seconds: float) -> None:
        self._run(seconds)

    @rule(action=ACTIONS, kind=st.sampled_from(['again', 'older', 'replaced', 'stop']))
    def sends_what_is_stale(self, action: int, kind: str) -> None:
        """Send the last action once more, an older one, one of another episode; or STOP."""
        if kind == 'stop':
            self.robot.act(0)
        elif self.step:
            self.robot.act(action, instruction_id='a', step=self.step)
            before = self.robot.executor.status
            if kind == 'replaced':
                self.robot.act(0, instruction_id='b', step=0)
                self.robot.act(0, instruction_id='a', step=self.step + 1)
                self.robot.step, before = 0, self.robot.executor.status
            number = self.step - (kind == 'older')
            assert self.robot.act(action, instruction_id='a', step=number) != ''
            assert self.robot.executor.status == before
        self._tick()

    @rule(button=st.integers(0, 1))
    def presses(self, button: int) -> None:
        self._say(button, True)
        assert self.robot.executor.base.velocity == ZERO
        self._tick()

    @rule(button=st.integers(0, 1))
    def releases(self, button: int) -> None:
        self._say(button, False)
        self._tick()

    @rule()
    def resets(self) -> None:
        """Reset, as a person who has looked: from here on the robot may try again."""
        if self.robot.executor.reset()[0]:
            self.lasting = {name: self._begun() for name in self.lasting}
        self._tick()

    # ---- what breaks ----

    @rule(name=st.sampled_from(sorted(FAULTS)), share=SHARES)
    def breaks(self, name: str, share: float) -> None:
        """Begin a fault, in the place of one of the same part."""
        fault = FAULTS[name]
        for other in [each for each in self.lasting if FAULTS[each].part == fault.part]:
            del self.lasting[other]
        fault.begin(self.robot, share)
        self.lasting[name] = self._begun()
        self._tick()

    @rule(
        wish=st.one_of(ACTIONS, PARTS),
        before=st.integers(0, 20).map(lambda tenths: tenths / 10.0),
        name=st.sampled_from(sorted(FAULTS)),
        share=SHARES,
        seconds=st.integers(1, 6),
    )
    def breaks_on_the_way(
        self, wish: int | Command, before: float, name: str, share: float, seconds: int
    ) -> None:
        """Begin it while the robot moves; what it did is asked for again and again."""
        self._insist(wish, before)
        self.breaks(name, share)
        self._insist(wish, seconds)

    @rule()
    def is_mended(self) -> None:
        self.robot.mend()
        self.lasting.clear()
        self._tick()

    def teardown(self) -> None:
        """Whatever has happened, the button ends it."""
        if self.ended or not hasattr(self, 'robot'):
            return
        self.lasting.clear()
        self._say(0, True)
        self._run(3.0)
        assert self.robot.executor.stands and self.robot.commanded is None
        assert self.robot.base.linear == self.robot.base.angular == 0.0

    # ---- what must hold ----

    def _begun(self) -> Lasting:
        return Lasting(self.robot.base.time, self.robot.way, self.robot.base.pose.yaw)

    def _say(self, button: int, pressed: bool) -> None:
        """Send what a button says, numbered as its publisher does."""
        (self.buttons.add if pressed else self.buttons.discard)(button)
        self.said[button] += 1
        origin = Origin(self.robot.base.time, self.said[button], publishers=2)
        self.robot.executor.on_e_stop(pressed, self.robot.now, origin)

    def _ask_action(self, action: int) -> None:
        robot = self.robot
        self.sequence.drop()
        self.step = robot.step
        accepted = robot.act(action, stamp=robot.now - 0.1) == ''
        self._note(accepted)

    def _insist(self, wish: int | Command, seconds: float) -> None:
        """Ask for the same whenever that may be carried out."""
        robot = self.robot
        end, due = robot.base.time + seconds, 0.0
        while robot.base.time < end:
            goes_on = self.continuous and isinstance(wish, int)
            if robot.base.time >= due and (goes_on or robot.executor.stands):
                if isinstance(wish, int):
                    self._ask_action(wish)
                else:
                    self.sequence.drop()
                    self._ask(Request(wish))
                due = robot.base.time + PERIOD
            self._tick()

    def _ask(self, request: Request) -> None:
        self._note(self.robot.executor.on_request(request, self.robot.now) == '')

    def _note(self, accepted: bool) -> None:
        if accepted:
            self.must_stand = False
            for name in [each for each in self.lasting if FAULTS[each].momentary]:
                del self.lasting[name]

    def _run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self._tick()

    def _tick(self) -> None:
        robot = self.robot
        velocity = robot.tick() or ZERO
        following = self.sequence.advance(robot.status)
        if following is not None:
            self._ask(following)
        self.ended = True
        state = robot.executor.state
        if state in (State.FAULT, State.ESTOPPED):
            self.must_stand = True
        assert velocity == ZERO or not self.must_stand, f'{velocity} though it has to stand'
        assert velocity == ZERO or not self.buttons, f'{velocity} though an e-stop is pressed'
        assert velocity.linear >= 0.0, 'it drives backwards'
        if robot.executor.stands:
            self.must_stand = True
        drives = velocity.linear > SLOW
        self._check(drives, not drives and abs(velocity.angular) > SLOW_TURN)
        self.ended = False

    def _check(self, drives: bool, turns: bool) -> None:
        robot, time = self.robot, self.robot.base.time
        for axis, active in (('way', drives), ('turn', turns)):
            if not active:
                self.driving[axis] = math.nan
            elif math.isnan(self.driving[axis]):
                self.driving[axis] = time
        broken = {FAULTS[name].part for name in self.lasting}
        for name, lasting in self.lasting.items():
            fault = FAULTS[name]
            way = robot.way - lasting.way
            lasting.turned = max(lasting.turned, abs(robot.base.pose.yaw - lasting.yaw))
            told = f'after "{name}": {way:.2f} m, {math.degrees(lasting.turned):.1f} degrees'
            assert way <= fault.steps * STEP or not fault.way, told
            # what a dead wheel makes of a drive is seen by odometry that works alone
            hidden = 'odometry' in broken and 'wheels' in broken
            assert lasting.turned <= fault.steps * STEP_ANGLE or not fault.turn or hidden, told
            if name == 'link lost' and not self.continuous:
                continue
            for axis, counts in (('way', fault.way), ('turn', fault.turn)):
                pushed = time - max(self.driving[axis], lasting.since)
                assert not counts or not pushed > fault.seconds + self.slack, (
                    f'{told}; told to move for {pushed:.2f} s'
                )
