"""
The motion executor: one deterministic state machine from actions to velocities.

It knows no ROS and no clock of its own: every input comes with the time `now` (s) at which it
was received, and `update(now)`, called at the control rate, returns what to command. Whatever
happens ends in zero velocity:

- STOP, a lost navigator and a motion's time allowance brake within the limits;
- e-stop, odometry that is silent, not finite or jumps, a clock that jumps or stands still and
  an obstacle command zero at once.

A base that takes commands instead of velocities (config.commands) gets one command at a time
from take_command(), and STOP in place of zero velocity.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from enum import Enum
import math

from janusvln_ros.motion.commands import Command, Kind
from janusvln_ros.motion.geometry import Pose, PoseBuffer, wrap
from janusvln_ros.motion.tracking import CommandHistory, Goal, Tracker, Velocity
from janusvln_ros.motion.types import ExecutorConfig, Mode, Request, Result, State, Status

_MAX_CORRECTIONS = 3  # times a motion that came to rest off its goal is taken up again


class _Phase(Enum):
    STANDING = 0
    MOVING = 1
    BRAKING = 2
    SETTLING = 3


class Executor:
    """See the module's docstring. Not thread-safe: one thread gives inputs and updates."""

    def __init__(self, config: ExecutorConfig) -> None:
        self._config = config
        self._tracker = Tracker(config.tracking)
        self._history = CommandHistory()
        self._poses = PoseBuffer()
        self._now: float | None = None
        self._odometry_at: float | None = None  # when a newer pose last came
        self._navigator_at: float | None = None
        self._clear: dict[str, tuple[float, float, Pose]] = {}  # when, metres free, from where
        self._fault: tuple[float, str] | None = None  # (when, what) of bad odometry or clock
        self._e_stop_pressed = False
        self._e_stopped = False

        self._phase = _Phase.STANDING
        self._phase_since = 0.0
        self._request = Request(Command(Kind.STOP))  # the last one received
        self._result = Result.NONE  # of it
        self._message = ''
        self._moving: Request | None = None  # the one whose motion has not ended yet
        self._ending = (Result.NONE, '')  # how it is going to end once the base stands
        self._start = Pose()
        self._deadline = 0.0
        self._corrections = 0
        self._open_loop = False
        self._virtual = Pose()  # dead reckoning on the commands, for open loop
        self._motion_end = 0.0
        self._zero_until = -math.inf
        self._velocity = Velocity()
        self._progress = 0.0
        self._outbox: Request | None = None  # for a base that takes commands
        self._waiting: Request | None = None  # the next one for it
        self._instruction_id, self._step = '', -1  # the newest step, for the order of steps
        self._past_ids: deque[str] = deque(maxlen=32)

    # ---- inputs ----

    @property
    def config(self) -> ExecutorConfig:
        """Return the configuration in force."""
        return self._config

    def configure(self, config: ExecutorConfig) -> None:
        """Take a new configuration; ValueError when the mode would change while moving."""
        if config.mode is not self._config.mode and self._phase is not _Phase.STANDING:
            raise ValueError('the execution mode can only be changed while the robot stands')
        self._config = config
        self._tracker.config = config.tracking

    def on_odometry(self, stamp: float, x: float, y: float, yaw: float, now: float) -> None:
        """Take the pose (m, m, rad in the odometry frame) that the robot had at `stamp` (s)."""
        pose = Pose(x, y, yaw)
        if not pose.is_finite():
            self._fail('odometry is not finite', now)
            return
        if self._odometry_is_old(now):
            self._poses.clear()
        last = self._poses.pose
        if last is not None:
            dt = stamp - self._poses.stamp
            if dt <= 0.0:
                return
            pose = Pose(x, y, last.yaw + wrap(yaw - last.yaw))
            moved, turned = math.hypot(x - last.x, y - last.y), abs(pose.yaw - last.yaw)
            config = self._config
            if (
                moved > config.odometry_jump + 2.0 * config.linear.speed * dt
                or turned > config.odometry_jump_angle + 2.0 * config.angular.speed * dt
            ):
                self._poses.clear()
                self._fail(
                    f'odometry jumped by {moved:.2f} m, {math.degrees(turned):.0f} degrees'
                    f' within {dt:.3f} s',
                    now,
                )
        self._poses.add(stamp, pose)
        self._odometry_at = now

    def on_navigator(self, now: float) -> None:
        """Note a sign of life of the navigator."""
        self._navigator_at = now

    def on_clear_distance(self, sensor: str, distance: float, now: float) -> None:
        """Take how far (m) a sensor says the robot can move before it touches anything."""
        if not math.isnan(distance):
            self._clear[sensor] = (now, distance, self.pose or Pose())

    def on_e_stop(self, pressed: bool, now: float) -> None:
        """Halt at once when pressed; releasing the button does not undo that."""
        self._e_stop_pressed = pressed
        if pressed:
            self._e_stopped = True
            self._outbox = Request(Command(Kind.STOP))
            self._zero_until = now + self._config.zero_hold
            self._halt(Result.ESTOPPED, 'e-stop', now)

    def reset_e_stop(self) -> tuple[bool, str]:
        """Undo the e-stop, unless it is still pressed; return whether, and why."""
        if self._e_stop_pressed:
            return False, 'the e-stop is still pressed: publish false on e_stop first'
        if not self._e_stopped:
            return True, 'the e-stop was not active'
        self._e_stopped = False
        return True, 'the e-stop is reset; the robot stands until the next action'

    def fail(self, reason: str) -> None:
        """Halt at once for a reason found outside, and refuse actions for the recovery time."""
        if self._now is not None:
            self._fail(reason, self._now)

    def on_request(self, request: Request, now: float) -> str:
        """
        Take a decision; return '' when it is executed, else the reason why not.

        STOP is executed always. A duplicate, a step that is not newer than the last of its
        instruction, and a step of an instruction that was replaced are ignored; the status
        does not change. All else is answered by the status.
        """
        self._navigator_at = now
        stale = self._out_of_order(request)
        if request.command.kind is Kind.STOP:
            if not stale:
                self._name(request, Result.NONE, '')
                self._moving = request
            self._stop(*((Result.CANCELED, 'STOP') if stale else (Result.SUCCEEDED, '')), now)
            return ''
        if stale:
            return stale
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
        if (
            self._phase is not _Phase.MOVING
            or not self._config.commands
            or ((request.instruction_id, request.step) != (instruction_id, step))
        ):
            return f'step {step} of instruction "{instruction_id}" is not under way'
        if not math.isfinite(amount):
            return 'the amount is not finite'
        if request is self._request:
            self._progress = math.copysign(1.0, request.command.amount) * amount
        self._ending = (Result.SUCCEEDED, '')
        self._settle(now)
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
        trouble = self._trouble(now)
        if trouble is not None and (
            self._phase in (_Phase.MOVING, _Phase.BRAKING) or self._expects_goal()
        ):
            self._halt(trouble[0], trouble[1], now)
        if self._phase is _Phase.MOVING:
            self._watch(now)
        if self._phase is _Phase.MOVING:
            self._move(now, dt)
        elif self._phase is _Phase.BRAKING:
            self._velocity = self._tracker.brake(dt)
            if self._tracker.rests:
                self._tracker.halt()
                self._settle(now)
        elif self._phase is _Phase.SETTLING:
            self._rest(now)
        self._measure_progress()
        if self._config.commands or (self._phase is _Phase.STANDING and now >= self._zero_until):
            return None
        return self._velocity

    def take_command(self) -> Request | None:
        """Return the command to send to a base that takes commands, once; else None."""
        command, self._outbox = self._outbox, None
        return command if self._config.commands else None

    @property
    def velocity(self) -> Velocity:
        """Return what is commanded now."""
        return self._velocity

    @property
    def stands(self) -> bool:
        """Tell whether no motion is under way, braking and settling included."""
        return self._phase is _Phase.STANDING

    @property
    def state(self) -> State:
        """Tell what the base is doing."""
        if self._e_stopped:
            return State.ESTOPPED
        if self._now is None or self._trouble(self._now) is not None:
            return State.FAULT
        if self._phase is _Phase.STANDING:
            return State.IDLE
        return State.SETTLING if self._phase is _Phase.SETTLING else State.MOVING

    @property
    def status(self) -> Status:
        """Return what to tell the navigator."""
        trouble = (
            self._trouble(self._now)
            if self._now is not None
            else (Result.INPUT_LOST, 'ROS time has not begun')
        )
        message = 'e-stop' if self._e_stopped else trouble[1] if trouble else self._message
        return Status(
            self.state,
            self._result,
            self._request,
            self._motion_end,
            self._progress,
            self._open_loop,
            message,
        )

    @property
    def pose(self) -> Pose | None:
        """Return where it is by the newest odometry, or by dead reckoning in open loop."""
        return self._virtual if self._open_loop else self._poses.pose

    @property
    def goal(self) -> Pose | None:
        """Return where the motion under way, or the last one, ends; None after a stop."""
        return self._tracker.goal.pose if self._tracker.goal is not None else None

    def odometry_age(self, now: float) -> float:
        """Return the time (s) since a newer pose last came; infinite when none has."""
        return math.inf if self._odometry_at is None else now - self._odometry_at

    def navigator_age(self, now: float) -> float:
        """Return the time (s) since the navigator's last sign of life; infinite without one."""
        return math.inf if self._navigator_at is None else now - self._navigator_at

    # ---- time and faults ----

    def _tick(self, now: float) -> float:
        """Return the time (s) since the last update; a clock that jumped is a fault."""
        last, self._now = self._now, now
        if last is None:
            return 0.0
        if now < last or now - last > self._config.clock_jump:
            self._poses.clear()
            self._history.clear()
            self._odometry_at = self._navigator_at = None
            self._clear.clear()
            self._motion_end = min(self._motion_end, now)
            self._phase_since = min(self._phase_since, now)
            self._zero_until = min(self._zero_until, now + self._config.zero_hold)
            self._fail(f'the clock jumped by {now - last:.3f} s', now)
            return 0.0
        if now > last:
            self._history.add(last, now, self._velocity)
            self._virtual = self._virtual.moved(
                self._velocity.linear * (now - last), self._velocity.angular * (now - last)
            )
        return now - last

    def _odometry_is_old(self, now: float) -> bool:
        return self.odometry_age(now) > self._config.odometry_timeout

    def _trouble(self, now: float) -> tuple[Result, str] | None:
        """Return why the robot must not move, or None."""
        if self._fault is not None and now - self._fault[0] < self._config.recovery_time:
            return Result.BAD_INPUT, self._fault[1]
        if self._odometry_is_old(now) and not self._config.commands:
            if self._config.allow_open_loop and (
                self._phase is _Phase.STANDING or self._open_loop
            ):
                return None
            if self._odometry_at is None:
                return Result.INPUT_LOST, 'no odometry yet'
            return (
                Result.INPUT_LOST,
                f'odometry is silent for more than {self._config.odometry_timeout:g} s',
            )
        return None

    def _fail(self, reason: str, now: float) -> None:
        self._fault = (now, reason)
        self._halt(Result.BAD_INPUT, reason, now)

    def _watch(self, now: float) -> None:
        """End the motion when its time is over, the navigator is lost or the way is blocked."""
        config = self._config
        if now > self._deadline:
            self._stop(Result.TIMEOUT, 'the time allowance of the motion ran out', now)
        elif (
            config.mode is Mode.CONTINUOUS
            and config.navigator_timeout > 0.0
            and self.navigator_age(now) > config.navigator_timeout
        ):
            self._stop(
                Result.INPUT_LOST,
                f'the navigator is silent for more than {config.navigator_timeout:g} s',
                now,
            )
        elif config.stop_distance > 0.0 and self._drives_forward():
            silent = [
                sensor
                for sensor in config.obstacle_sensors
                if sensor not in self._clear
                or now - self._clear[sensor][0] > config.obstacle_timeout
            ]
            if silent:
                self._halt(
                    Result.INPUT_LOST,
                    f'{" and ".join(silent)} silent: the way ahead is not known',
                    now,
                )
            elif self._room(now) <= 0.0:
                self._halt(
                    Result.BLOCKED,
                    f'an obstacle ahead is nearer than {config.stop_distance:.2f} m',
                    now,
                )

    def _room(self, now: float) -> float:
        """Return how far (m) the robot may still move forward."""
        if self._config.stop_distance <= 0.0:
            return math.inf
        pose = self._predicted(now)
        return (
            min(
                (distance - pose.seen_from(seen)[0] for _, distance, seen in self._clear.values()),
                default=math.inf,
            )
            - self._config.stop_distance
        )

    def _drives_forward(self) -> bool:
        """Tell whether what is left of the motion goes forward."""
        if self._config.commands:
            return self._moving.command.kind is Kind.MOVE and self._moving.command.amount > 0.0
        return self._tracker.drives and self._tracker.goal.along(self._predicted(self._now)) > 0.0

    # ---- requests ----

    def _name(self, request: Request, result: Result, message: str) -> None:
        if request.instruction_id:
            if self._instruction_id not in ('', request.instruction_id):
                self._past_ids.append(self._instruction_id)
            self._instruction_id, self._step = request.instruction_id, request.step
        self._request, self._result, self._message = request, result, message
        self._progress = 0.0

    def _out_of_order(self, request: Request) -> str:
        if request.instruction_id in self._past_ids:
            return f'instruction {request.instruction_id} has been replaced'
        if (
            request.instruction_id
            and request.instruction_id == self._instruction_id
            and request.step <= self._step
        ):
            return f'step {request.step} is not newer than step {self._step}'
        return ''

    def _refusal(self, request: Request, now: float) -> tuple[Result, str]:
        """Return (NONE, '') for a request that can be executed, else its result and why."""
        config, command = self._config, request.command
        if self._e_stopped:
            return Result.ESTOPPED, 'e-stop'
        trouble = self._trouble(now)
        if trouble is not None:
            return trouble
        limit = config.max_move if command.kind is Kind.MOVE else config.max_turn
        if not 0.0 < abs(command.amount) <= limit:  # also refuses NaN
            return Result.BAD_INPUT, f'an amount of {command.amount} is not within 0..{limit:g}'
        if command.kind is Kind.MOVE and command.amount < 0.0 and not config.allow_reverse:
            return Result.BAD_INPUT, 'driving backwards is not allowed (allow_reverse)'
        if config.mode is Mode.STEP:
            if self._phase is not _Phase.STANDING:
                return Result.DROPPED, 'another action was moving'
            return Result.NONE, ''
        if self._phase is _Phase.BRAKING:
            return Result.DROPPED, 'the robot is coming to a stop'
        if self._waiting is not None and self._merged(request) is None:
            return Result.DROPPED, 'another command waits for the base already'
        if request.stamp:
            age = now - request.stamp
            if age < -0.5:
                return Result.BAD_INPUT, f'the image is stamped {-age:.1f} s in the future'
            if age > config.max_decision_age:
                return Result.DROPPED, f'the decision is {age:.1f} s old'
            closed_loop = not (config.commands or self._open_loop)
            if closed_loop and self._poses.at(request.stamp) is None:
                return Result.DROPPED, 'there is no odometry from the time of the image'
        return Result.NONE, ''

    def _begin(self, request: Request, now: float) -> None:
        """Start a motion; in continuous mode, move the goal of the one under way on."""
        config, command = self._config, request.command
        if config.commands and self._phase is not _Phase.STANDING:
            self._waiting = self._merged(request)
            self._request = self._waiting
            return
        if config.commands:
            self._outbox = request
        else:
            self._aim(request, now)
        self._moving = request
        self._corrections = 0
        limits = config.linear if command.kind is Kind.MOVE else config.angular
        self._deadline = now + config.time_allowance + 2.0 * abs(command.amount) / limits.speed
        self._enter(_Phase.MOVING, now)

    def _merged(self, request: Request) -> Request | None:
        """Return a request merged with the one that waits; None when they cannot be one."""
        if self._waiting is None:
            return request
        command = self._waiting.command.merged(
            request.command, self._config.merge_length, self._config.merge_angle
        )
        return replace(request, command=command) if command is not None else None

    def _aim(self, request: Request, now: float) -> None:
        """Set the goal of a request."""
        if self._phase is _Phase.STANDING:
            self._open_loop = self._odometry_is_old(now)
            self._virtual = Pose()
        self._tracker.follow(self._chain(request, now))
        self._start = self._predicted(now)

    def _chain(self, request: Request, now: float) -> Goal:
        """
        Return the goal of a request.

        A move's point lies ahead of where the image was taken, a turn's yaw is measured from
        the yaw there. What an action does not speak of, a move's heading or a turn's point,
        stays as the goal before it set it, if the image was taken before that one was reached.
        """
        command, last = request.command, self._tracker.goal
        anchor, chained = self._predicted(now), None
        if self._config.mode is Mode.CONTINUOUS and not self._open_loop:
            stamp = request.stamp or now
            anchor = self._poses.at(stamp) or anchor
            if last is not None and (
                self._phase is not _Phase.STANDING or stamp < self._motion_end
            ):
                chained = last
        if command.kind is Kind.MOVE:
            yaw = chained.pose.yaw if chained else anchor.yaw
            ahead = Pose(anchor.x, anchor.y, yaw).moved(command.amount)
            return Goal(ahead, line=yaw, drive=True)
        base = chained or Goal(anchor, line=anchor.yaw, drive=False)
        return replace(base, pose=replace(base.pose, yaw=anchor.yaw + command.amount))

    # ---- motion ----

    def _enter(self, phase: _Phase, now: float) -> None:
        self._phase, self._phase_since = phase, now

    def _predicted(self, now: float) -> Pose:
        """Return where the robot will be when what is commanded now takes effect."""
        if self._open_loop or self._poses.pose is None:
            return self._virtual
        seen = max(min(self._poses.stamp, now), now - self._config.odometry_timeout)
        return self._history.predict(self._poses.pose, seen - self._config.actuation_delay)

    def _move(self, now: float, dt: float) -> None:
        if self._config.commands:
            return
        self._velocity, arrived = self._tracker.step(self._predicted(now), dt, self._room(now))
        if arrived:
            self._ending = (Result.SUCCEEDED, '')
            self._settle(now)

    def _stop(self, result: Result, message: str, now: float) -> None:
        """Brake within the limits."""
        self._ending = (result, message)
        self._forget_waiting(result, message)
        self._outbox = Request(
            Command(Kind.STOP),
            instruction_id=self._request.instruction_id,
            step=self._request.step,
        )
        if self._phase is _Phase.MOVING:
            self._enter(_Phase.BRAKING, now)
        elif self._phase is _Phase.SETTLING:
            self._tracker.halt()
        elif self._phase is _Phase.STANDING:
            self._finish(now, moved=False)

    def _halt(self, result: Result, message: str, now: float) -> None:
        """Command zero at once, and end what is under way."""
        moving = self._phase in (_Phase.MOVING, _Phase.BRAKING)
        if self._phase is _Phase.MOVING or self._expects_goal():
            self._ending = (result, message)
        self._tracker.halt()
        self._velocity = Velocity()
        self._forget_waiting(result, message)
        if moving:
            self._outbox = Request(Command(Kind.STOP))
            self._enter(_Phase.SETTLING, now)
        if self._moving is self._request and self.state in (State.FAULT, State.ESTOPPED):
            self._result, self._message = self._ending

    def _forget_waiting(self, result: Result, message: str) -> None:
        if self._waiting is not None and self._waiting is self._request:
            self._result, self._message = result, message
        self._waiting = None

    def _settle(self, now: float) -> None:
        """Hold zero until the base has come to rest."""
        self._velocity = Velocity()
        self._enter(_Phase.SETTLING, now)

    def _rest(self, now: float) -> None:
        """See whether the base stands, and where."""
        config, waited = self._config, now - self._phase_since
        if waited < config.settle_time or (
            waited < config.settle_timeout and not self._base_stands(now)
        ):
            return
        if self._expects_goal() and not self._tracker.reached(self._predicted(now)):
            if self._corrections < _MAX_CORRECTIONS and now < self._deadline:
                self._corrections += 1
                self._tracker.follow(self._tracker.goal)
                self._enter(_Phase.MOVING, now)
                return
            self._ending = (Result.SUCCEEDED, 'ended outside the tolerances')
        self._finish(now, moved=True)

    def _expects_goal(self) -> bool:
        """Tell whether the base settles where a motion should have brought it."""
        return self._phase is _Phase.SETTLING and self._tracker.goal is not None

    def _base_stands(self, now: float) -> bool:
        if self._open_loop or self._config.commands:
            return True
        speed = None if self._odometry_is_old(now) else self._poses.speed()
        return (
            speed is not None
            and speed[0] < self._config.settle_speed
            and speed[1] < self._config.settle_turn_rate
        )

    def _finish(self, now: float, moved: bool) -> None:
        """Stand."""
        if self._moving is self._request:
            self._result, self._message = self._ending
        self._moving = None
        if moved:
            self._motion_end = now
        self._zero_until = now + self._config.zero_hold
        self._enter(_Phase.STANDING, now)
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._begin(waiting, now)

    def _measure_progress(self) -> None:
        """Note what has been done (m or rad) of the motion, along its direction."""
        request, pose = self._moving, self.pose
        if (
            request is None
            or request is not self._request
            or pose is None
            or self._config.commands
        ):
            return
        forward, _, turn = pose.seen_from(self._start)
        if request.command.kind is not Kind.STOP:
            done = forward if request.command.kind is Kind.MOVE else turn
            self._progress = math.copysign(1.0, request.command.amount) * done
