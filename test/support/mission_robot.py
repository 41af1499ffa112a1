"""Camera, clock and executor of one mission, without ROS."""

from janusvln_ros.navigation.mission import (
    Mission,
    MissionParameters,
    Motion,
    MotionReport,
    Result,
    State,
)
from janusvln_ros.parameters import build

SECOND = 1_000_000_000  # ns
EVEN = (0.25, 0.25, 0.25, 0.25)


class Robot:
    """Plays camera, clock and executor for one mission; time in seconds."""

    def __init__(self, report=MotionReport(), awaiting=None, **limits):  # noqa: B008
        self.now = 100.0
        self.mission = Mission(
            'a', 'go', build(MissionParameters, limits), self.ns(), report, awaiting
        )

    def ns(self, offset=0.0):
        return round((self.now + offset) * SECOND)

    def wait(self, seconds, status=True, step=0.1):
        """Let time pass in small steps, with the executor's heartbeat or without."""
        end = self.now + seconds
        while self.now < end and not self.mission.ended:
            self.now += step
            if status and self.mission.report:
                self.mission.reported(self.mission.report, self.ns())
            self.mission.check(self.ns())

    def takes(self, offset=0.0):
        return self.mission.takes_frame(self.ns(offset), self.ns())

    def decide(self, action, probabilities=EVEN, picture=None):
        """Decide on a picture, by default one that was not seen before."""
        self.now += 0.1
        assert self.takes(), self.mission.state
        self.mission.begin_decision(self.ns(), self.ns(), picture or self.ns())
        if self.mission.ended:
            return None
        assert self.mission.state == State.DECIDING
        self.now += 0.1
        return self.mission.decided(action, probabilities, self.ns())

    def report(self, state=Motion.IDLE, result=Result.SUCCEEDED, progress=0.25, **other):
        step = self.mission.step - 1 if self.mission.step else 0
        fields = {'instruction_id': 'a', 'step': step, 'motion_end': self.ns(), **other}
        self.mission.reported(MotionReport(state, result, progress=progress, **fields), self.ns())

    def do(self, action, **report):
        """Decide and carry out one action."""
        done = self.decide(action)
        if done is not None:
            self.now += 1.0
            self.report(**report)
        return done

    def outcome(self):
        return self.mission.reason, self.mission.message
