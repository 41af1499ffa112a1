"""
The motion executor: one deterministic state machine from actions to velocities.

It knows no ROS and no clock of its own: every input comes with the time `now` (s) at which it
was received, and `update(now)`, called at the control rate, returns what to command. Whatever
happens ends in zero velocity: what may stop the robot is in motion/safety, one reason to a file,
and each update begins by asking the supervisor. To BRAKE is a ramp within the limits, to HALT is
zero at once.

A base that takes commands instead of velocities (output: command) gets one command at a time
from base.take_command(), and STOP in place of zero velocity.
"""

from __future__ import annotations

from enum import Enum
import math

from janusvln_ros.motion.admission import Admission
from janusvln_ros.motion.bases import CommandBase, Output, VelocityBase
from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.config import ExecutorConfig
from janusvln_ros.motion.manual import Manual
from janusvln_ros.motion.safety.activity import Activity
from janusvln_ros.motion.safety.clock import Clock
from janusvln_ros.motion.safety.collision_monitor import CollisionMonitor
from janusvln_ros.motion.safety.e_stop import EStop, Origin
from janusvln_ros.motion.safety.guard import Stop, Verdict
from janusvln_ros.motion.safety.guess import Guess
from janusvln_ros.motion.safety.link import Link
from janusvln_ros.motion.safety.masters import Masters
from janusvln_ros.motion.safety.navigators import Navigators, Owner
from janusvln_ros.motion.safety.obstacles import Obstacles
from janusvln_ros.motion.safety.odometry import Odometry
from janusvln_ros.motion.safety.response import Response
from janusvln_ros.motion.safety.supervisor import Supervisor
from janusvln_ros.motion.safety.travel import Travel
from janusvln_ros.motion.types import Mode, Request, Result, State, Status, Velocity

_MAX_CORRECTIONS = 3  # times a motion that came to rest off its goal is taken up again
_UNKNOWN = Origin()  # of an e_stop message that nobody tells about


class _Phase(Enum):
    STANDING = 0
    MOVING = 1
    BRAKING = 2
    SETTLING = 3


class Executor:
    """
    See the module's docstring. Not thread-safe: one thread gives inputs and updates.

    Its parts are public: obstacles, guess, monitor, link, masters, navigators and owner are fed,
    e_stop is reset, activity is switched, manual makes requests, odometry and base are asked.
    config is what is in force; `configure` changes it.
    """

    def __init__(self, config: ExecutorConfig) -> None:
        commands = config.output.output is Output.COMMAND
        self.activity = Activity()
        self.clock = Clock(config.clock)
        self.e_stop = EStop(config.e_stop)
        self.odometry = Odometry(config.odometry, config.open_loop)
        self.base = (CommandBase if commands else VelocityBase)(
            config.driving, config.base, self.odometry
        )
        sensors = config.sensors
        self.obstacles = Obstacles(sensors.body, sensors.sensors, self.base)
        self.guess = Guess(sensors.guessed_depth, sensors.body, self.base)
        self.monitor = CollisionMonitor()
        self.link = Link(config.link)
        self.masters = Masters(config.masters)
        self.manual = Manual(config.manual, not commands)
        self.navigators = Navigators()
        self.owner = Owner(self.navigators)
        self.travel = Travel(self.odometry)
        self.response = Response(self.odometry)
        self.supervisor = Supervisor(
            config.supervisor,
            always=(
                self.e_stop,
                self.clock,
                *(() if commands else (self.odometry,)),
                self.masters,
                self.navigators,
                self.activity,
            ),
            moving=(
                self.manual,
                self.monitor,
                self.response,
                self.travel,
                self.obstacles,
                self.guess,
                self.link,
                self.owner,
            ),
        )
        self._admission = Admission(config.admission, config.age)
        self._phase = _Phase.STANDING
        self._phase_since = 0.0
        self._request = Request(Command(Kind.STOP))  # the last one received
        self._result = Result.NONE  # of it
        self._message = ''
        self._progress = 0.0
        self._moving: Request | None = None  # the one whose motion has not ended yet
        self._ending = (Result.NONE, '')  # how it is going to end once the base stands
        self._corrections = 0
        self._motion_end = 0.0
        self._zero_until = -math.inf
        self.config = config
        self.configure(config)

    # ---- inputs ----

    def configure(self, config: ExecutorConfig) -> None:
        """Take a new configuration; ValueError when the mode would change while moving."""
        mode = config.admission.execution_mode
        if not self.stands and mode is not self.config.admission.execution_mode:
            raise ValueError('the execution mode can only be changed while the robot stands')
        self.config = config
        self.base.configure(config.driving, config.base, config.admission.allow_reverse)
        self.odometry.configure(config.odometry, config.open_loop)
        driving = config.driving
        fastest = Velocity(driving.max_linear_speed, driving.max_angular_speed)
        braking = Velocity(driving.max_linear_acceleration, driving.max_angular_acceleration)
        self.odometry.fastest = fastest
        self.travel.configure(config.travel, config.step, fastest, braking)
        self.response.configure(config.response, config.base.actuation_delay, fastest, braking)
        self.link.parameters, self.link.needed = config.link, mode is Mode.CONTINUOUS
        self.clock.parameters, self.e_stop.parameters = config.clock, config.e_stop
        speeds = driving.min_linear_speed, fastest.linear, braking.linear
        self.obstacles.configure(config.obstacles, *speeds)
        self.guess.configure(config.guess, *speeds)
        self.masters.parameters, self.manual.parameters = config.masters, config.manual
        self.supervisor.parameters = config.supervisor
        self._admission.parameters, self._admission.age = config.admission, config.age

    def on_odometry(
        self, stamp: float, x: float, y: float, yaw: float, now: float, problem: str = ''
    ) -> None:
        """
        Take the pose (m, m, rad in the odometry frame) that the robot had at `stamp` (s).

        problem: what odometry.on_frames has said.
        """
        was_silent = self.odometry.is_silent(now)
        problem = problem or self.odometry.on_odometry(stamp, x, y, yaw, now)
        if problem or was_silent:  # what was seen is placed by odometry, which may begin elsewhere
            self.obstacles.forget()
            self.guess.forget()
        if problem:
            self._halt(self.supervisor.fail(problem, now), now)

    def on_e_stop(self, pressed: bool, now: float, origin: Origin = _UNKNOWN) -> None:
        """Halt at once when pressed; releasing the button does not undo that."""
        self.e_stop.on_e_stop(pressed, now, origin)
        e_stop = self.e_stop.verdict(now)
        if pressed and e_stop is not None:
            self.base.send_stop()
            self._zero_until = now + self.config.supervisor.zero_hold
            self._halt(e_stop, now)

    def fail(self, reason: str) -> None:
        """Halt at once for a reason found outside, and refuse actions for the recovery time."""
        if not math.isinf(self.clock.now):
            self._halt(self.supervisor.fail(reason, self.clock.now), self.clock.now)

    def reset(self) -> tuple[bool, str]:
        """Undo e-stop and lasting faults, unless it is still pressed; return whether, and why."""
        done, message = self.e_stop.reset()
        if done:
            self.travel.reset()
            self.response.reset()
            if self.supervisor.reset():
                message = 'the fault is reset; the robot stands until the next action'
        return done, message

    def on_request(self, request: Request, now: float) -> str:
        """
        Take a decision; return '' when it is executed, else the reason why not.

        STOP is executed always. A duplicate, a step that is not newer than the last of its
        instruction, and a step of an instruction that was replaced are ignored; the status
        does not change. All else is answered by the status.
        """
        self.link.on_navigator(now)
        disorder = self._admission.disorder(request) or self.manual.disorder(request, self.stands)
        if request.command.kind is Kind.STOP:
            if not disorder:
                self._name(request, Result.NONE, '')
                self._moving = request
            self._stop(*((Result.CANCELED, 'STOP') if disorder else (Result.SUCCEEDED, '')), now)
            return ''
        if disorder:
            return disorder
        result, reason = self._refusal(request, now)
        self._name(request, result, reason)
        if not reason:
            self._begin(request, now)
        return reason

    def on_done(self, instruction_id: str, step: int, amount: float, now: float) -> str:
        """
        Take a base's answer that it has finished a command, and what it has done (m or rad).

        Return why the answer is ignored, or ''.
        """
        request = self._moving
        if self._phase is not _Phase.MOVING or not self.base.answers(instruction_id, step):
            return f'step {step} of instruction "{instruction_id}" is not under way'
        if not math.isfinite(amount):
            return 'the amount is not finite'
        if request is self._request:
            self._progress = math.copysign(1.0, request.command.amount) * amount
        self._ending = (Result.SUCCEEDED, '')
        self._enter(_Phase.SETTLING, now)
        return ''

    def on_invalid(self, request: Request, reason: str) -> None:
        """Answer an action or sentence that is none: no motion, result BAD_INPUT."""
        self._name(request, Result.BAD_INPUT, reason)

    # ---- output ----

    def update(self, now: float) -> Velocity | None:
        """
        Advance to a time (s) and return the velocity to command until the next update.

        None: be silent, so that another source may drive the base.
        """
        dt = self._tick(now)
        self._supervise(now)
        if self._phase is _Phase.MOVING:
            self.base.held = self.guess.waits(now)
        if self._phase is _Phase.MOVING and not self.base.held:
            room = self.obstacles.room(now)
            fastest = self.travel.fastest(self.base.delay)
            linear = min(fastest.linear, self.obstacles.fastest(room), self.guess.fastest(now))
            room = min(room, self.guess.room(now))
            if self.base.drive(now, dt, room, Velocity(linear, fastest.angular)):
                self._ending = (Result.SUCCEEDED, '')
                self._enter(_Phase.SETTLING, now)
        elif self._phase is _Phase.BRAKING:
            if self.base.brake(dt):
                self._enter(_Phase.SETTLING, now)
        elif self._phase is _Phase.SETTLING:
            self._rest(now)
        if self._moving is not None and self._moving is self._request:
            progress = self.base.progress(self._moving)
            self._progress = self._progress if progress is None else progress
        if self.stands and now >= self._zero_until:
            return None
        return self.base.output

    @property
    def stands(self) -> bool:
        """Tell whether no motion is under way, braking and settling included."""
        return self._phase is _Phase.STANDING

    @property
    def state(self) -> State:
        """Tell what the base is doing; one that brakes within the limits does not stand yet."""
        trouble = self.supervisor.trouble(self.clock.now)
        if trouble is not None and (trouble.stop is Stop.HALT or self.stands):
            return State.ESTOPPED if trouble.result is Result.ESTOPPED else State.FAULT
        if self.stands:
            return State.IDLE
        return State.SETTLING if self._phase is _Phase.SETTLING else State.MOVING

    @property
    def status(self) -> Status:
        """Return what to tell the navigator."""
        trouble = self.supervisor.trouble(self.clock.now)
        return Status(
            self.state,
            self._result,
            self._request,
            self._motion_end,
            self._progress,
            self.base.open_loop,
            trouble.message if trouble is not None else self._message,
        )

    # ---- time and guards ----

    def _tick(self, now: float) -> float:
        """Return the time (s) since the last update; a clock that jumped is a fault."""
        last = self.clock.now
        problem = self.clock.tick(now)
        if problem:
            self.supervisor.forget()
            self.odometry.forget()
            self.base.forget()
            self._motion_end = min(self._motion_end, now)
            self._phase_since = min(self._phase_since, now)
            self._zero_until = min(self._zero_until, now + self.config.supervisor.zero_hold)
            self._halt(self.supervisor.fail(problem, now), now)
        if problem or math.isinf(last):
            return 0.0
        self.base.passed(last, now)
        self.travel.on_command(self.base.velocity, now - last)
        self.response.on_command(self.base.velocity, last, now)
        return now - last

    def _supervise(self, now: float) -> None:
        """Ask the guards, and stop when one says so."""
        if self._phase in (_Phase.MOVING, _Phase.BRAKING):
            verdict = self.supervisor.verdict(now)
            if self._phase is _Phase.BRAKING and verdict and verdict.stop is Stop.BRAKE:
                verdict = None
        elif self._expects_goal():
            verdict = self.supervisor.trouble(now)
        else:
            verdict = None
        if verdict is not None and verdict.unanswered and self.base.velocity != Velocity():
            self.response.watch(now)
        late = self.response.late(now)
        if late:
            verdict = self.supervisor.fail(late, now, lasting=True)
        if verdict is not None and verdict.stop is Stop.BRAKE:
            self._stop(verdict.result, verdict.message, now)
        elif verdict is not None:
            self._halt(verdict, now)

    # ---- requests ----

    def _name(self, request: Request, result: Result, message: str) -> None:
        """Take a request as the one that the status is about."""
        self._admission.note(request)
        self._request, self._result, self._message = request, result, message
        self._progress = 0.0

    def _refusal(self, request: Request, now: float) -> tuple[Result, str]:
        """Return (NONE, '') for a motion that can begin, else its result and why."""
        trouble = self.supervisor.trouble(now)
        if trouble is not None:
            return trouble.result, trouble.message
        by_hand = request.by_hand is not None
        if not by_hand and self.manual.holds(now):
            return Result.DROPPED, 'a person drives by hand'
        brakes = self._phase is _Phase.BRAKING and not by_hand
        result, reason = self._admission.refusal(
            request, now, stands=self.stands or by_hand, brakes=brakes
        )
        if not reason and self.config.admission.execution_mode is Mode.CONTINUOUS:
            reason = self.base.refusal(request)
            result = Result.DROPPED if reason else Result.NONE
        return result, reason

    def _begin(self, request: Request, now: float) -> None:
        """Start a motion; in continuous mode, move the goal of the one under way on."""
        command, mode = request.command, self.config.admission.execution_mode
        self.manual.drives = request.by_hand is not None
        if self.stands:
            self.response.begin(command.kind, now)
            self.monitor.begin(now)
            self.guess.begin(now)
        waits = self.base.begin(request, now, mode, self.stands, self._motion_end)
        if waits is not None:
            self._request = waits
            return
        self._moving = request
        self._corrections = 0
        self.base.held = self.guess.waits(now)
        goes_on = self.manual.drives or mode is Mode.CONTINUOUS
        from_rest = self.base.velocity == Velocity()
        self.travel.begin(command, now, goes_on=goes_on, from_rest=from_rest)
        self._enter(_Phase.MOVING, now)

    # ---- phases ----

    def _enter(self, phase: _Phase, now: float) -> None:
        self._phase, self._phase_since = phase, now
        self.odometry.in_use = not self.stands and self.base.closed_loop

    def _stop(self, result: Result, message: str, now: float) -> None:
        """Brake within the limits."""
        self._ending = (result, message)
        self._drop_waiting(result, message)
        self.base.send_stop(self._request.instruction_id, self._request.step)
        if self._phase is _Phase.MOVING:
            self._enter(_Phase.BRAKING, now)
        elif self._phase is _Phase.SETTLING:
            self.base.halt()
        elif self.stands:
            self._finish(now)

    def _drop_waiting(self, result: Result, message: str) -> None:
        if self.base.drop_waiting() is self._request:
            self._result, self._message = result, message

    def _halt(self, verdict: Verdict, now: float) -> None:
        """Command zero at once, and end what is under way."""
        self.manual.halt()
        if self._phase is _Phase.MOVING or self._expects_goal():
            self._ending = (verdict.result, verdict.message)
        self.base.halt()
        self._drop_waiting(verdict.result, verdict.message)
        if self._phase in (_Phase.MOVING, _Phase.BRAKING):
            self.base.send_stop()
            self._enter(_Phase.SETTLING, now)
        if self._moving is self._request and self.state in (State.FAULT, State.ESTOPPED):
            self._result, self._message = self._ending

    def _expects_goal(self) -> bool:
        """Tell whether the base settles where a motion should have brought it."""
        return self._phase is _Phase.SETTLING and self.base.goal is not None

    def _rest(self, now: float) -> None:
        """See whether the base stands, and where."""
        waited = now - self._phase_since
        if not self.base.has_settled(waited, now):
            return
        rolls = self.response.rolls(now)
        if rolls and self.response.rolls_out(waited):
            return
        if rolls:
            self._halt(self.supervisor.fail(rolls, now, lasting=True), now)
        if self.base.is_off(now):
            if (
                self._corrections < _MAX_CORRECTIONS
                and self.travel.verdict(now) is None
                and self.base.take_up_again(now)
            ):
                self._corrections += 1
                self._enter(_Phase.MOVING, now)
                return
            self._ending = (Result.SUCCEEDED, 'ended outside the tolerances')
        self._motion_end = now
        self._finish(now)

    def _finish(self, now: float) -> None:
        """Stand, until a request that waited begins."""
        if self._moving is self._request:
            self._result, self._message = self._ending
        self._moving = None
        self._zero_until = now + self.config.supervisor.zero_hold
        self._enter(_Phase.STANDING, now)
        waiting = self.base.drop_waiting()
        if waiting is not None:
            self._begin(waiting, now)
