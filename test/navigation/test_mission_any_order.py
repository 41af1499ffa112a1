"""A mission under whatever comes, in whatever order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, RuleBasedStateMachine
from janusvln_ros.navigation.mission import Motion, Result, State
from mission_robot import EVEN, Robot
import pytest


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes in whatever order, no frame from before a motion's end is decided on."""

    @initialize(steps=st.integers(1, 6), pushes=st.integers(1, 3), recoveries=st.integers(0, 2))
    def start(self, steps, pushes, recoveries):
        self.robot = Robot(max_steps=steps, push_steps=pushes, max_recoveries=recoveries)
        self.mission = self.robot.mission
        self.sent = 0
        self.running = False

    @rule(seconds=st.sampled_from([0.01, 0.3, 3.0, -1.0, 40.0]))
    def time_passes(self, seconds):
        self.robot.now += seconds
        self.mission.check(self.robot.ns())

    @rule(
        state=st.sampled_from(Motion),
        result=st.sampled_from(Result),
        right=st.booleans(),
        progress=st.sampled_from([0.0, 0.25, float('nan'), -1.0]),
    )
    def executor_reports(self, state, result, right, progress):
        step = self.mission.step - 1 if right and self.mission.step else 77
        self.robot.report(state, result, progress, step=step)

    @rule(offset=st.sampled_from([-5.0, -0.2, 0.0, 0.2]))
    def frame_comes(self, offset):
        if not self.running and self.robot.takes(offset):
            report = self.mission.report
            assert report.state == Motion.IDLE and self.mission.awaiting is None
            assert self.robot.ns(offset) >= report.motion_end
            self.mission.begin_decision(self.robot.ns(offset), self.robot.ns(), self.robot.ns())
            self.running = True

    @rule(action=st.integers(0, 3))
    def policy_answers(self, action):
        if self.running:
            self.running = False
            allowed = self.mission.state == State.DECIDING
            done = self.mission.decided(action, EVEN, self.robot.ns())
            assert allowed or done is None
            self.sent += done is not None

    @rule()
    def pause(self):
        self.mission.pause(self.robot.ns())

    @rule()
    def resume(self):
        self.mission.resume(self.robot.ns())

    @invariant()
    def bounded(self):
        if hasattr(self, 'mission'):
            assert self.sent == self.mission.step <= self.mission.parameters.max_steps
            assert self.mission.ended == bool(self.mission.message)


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyOrder = pytest.mark.slow(AnyOrder.TestCase)
