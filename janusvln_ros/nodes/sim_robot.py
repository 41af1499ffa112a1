"""
sim_robot: a simulated differential-drive base with a camera.

cmd_vel in; image, camera_info, odom and tf out. Physics runs in one thread at its own pace,
pictures are drawn in another, so that a slow picture never delays the base. Pictures are drawn
only while somebody listens.
"""

from __future__ import annotations

import array
from collections.abc import Callable
import math
import sys
import threading
import time

from builtin_interfaces.msg import Time as TimeMessage
import cv2
from geometry_msgs.msg import Quaternion, TransformStamped, Twist, TwistStamped
from janusvln_ros.episodes.scene import Scene
from janusvln_ros.episodes.suggestions import missing, suggestions
from janusvln_ros.msg import NavigatorStatus
from janusvln_ros.nodes.common.conversions import to_image, to_quaternion, to_stamp
from janusvln_ros.nodes.common.parameters import Declared
from janusvln_ros.nodes.common.process import run
from janusvln_ros.nodes.common.qos import LATCHED, LATEST, RELIABLE
from janusvln_ros.nodes.sim_settings import make_house, read_start_pose, Settings
from janusvln_ros.sim.camera import CameraModel
from janusvln_ros.sim.house import clearance, House
from janusvln_ros.sim.physics import PhysicsWorld, TIMESTEP, WheelOdometry
from janusvln_ros.sim.renderer import Renderer
from nav_msgs.msg import OccupancyGrid, Odometry
import numpy as np
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger

try:
    from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster
except ImportError:  # ROS 2 from wheels has no tf2
    TransformBroadcaster = None

_TICK = 0.01  # s between two looks at the clock, of wall and of simulated time at most
_CELL = 0.05  # m of the map
_CLOCK_PERIOD = 0.01  # s of simulated time
_MOST_BEHIND = 0.1  # s of wall time that are made up for after a delay; the rest is lost


class SimRobot(Node):
    """
    The ROS side of the simulated robot; see docs/simulator.md.

    start() begins to simulate, stop() ends it.
    """

    def __init__(self) -> None:
        super().__init__('sim_robot')
        settings = self._settings = Declared(self, Settings).value
        self._clocked = (
            settings.publish_clock
            or settings.real_time_factor != 1.0
            or self.get_parameter('use_sim_time').value
        )
        self._house = make_house(settings.scene, settings.house_seed, settings.rooms)
        self._start_pose = read_start_pose(settings.start_pose, self._house)
        self._camera = CameraModel(
            settings.image_width,
            settings.image_height,
            settings.hfov,
            settings.camera_height,
            settings.camera_tilt,
            noise=settings.image_noise,
        )
        self._world = PhysicsWorld(
            self._house, self._start_pose, wheel_error=settings.wheel_error, seed=settings.seed
        )
        self.failure = ''  # the error that ended a thread
        self._lock = threading.Lock()  # guards the world
        self._shot = threading.Condition()  # guards the next two
        self._wanted: tuple[TimeMessage, tuple[float, float, float]] | None = None
        self._ending = False
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._simulate, self._draw)
        ]

        # Reliable publishers serve subscribers of both kinds.
        self._odom = self.create_publisher(Odometry, 'odom', RELIABLE)
        self._truth = self.create_publisher(Odometry, 'ground_truth', RELIABLE)
        self._image = self.create_publisher(Image, 'image', LATEST)
        self._compressed = self.create_publisher(CompressedImage, 'image/compressed', LATEST)
        self._map = self.create_publisher(OccupancyGrid, 'map', LATCHED)
        self._map.publish(occupancy(self._house))
        self._info = self.create_publisher(CameraInfo, 'camera_info', LATEST)
        self._clock_publisher = (
            self.create_publisher(Clock, '/clock', LATEST) if self._clocked else None
        )
        self._tf = TransformBroadcaster(self) if TransformBroadcaster else None
        if TransformBroadcaster:
            self._static_tf = StaticTransformBroadcaster(self)
            self._static_tf.sendTransform(self._camera_transform())
        self.create_subscription(
            TwistStamped if settings.stamped_cmd_vel else Twist,
            'cmd_vel',
            self._on_velocity,
            LATEST,
        )
        self.create_service(Trigger, 'reset', self._on_reset)
        self._asked = ''  # the last instruction's id
        self.create_subscription(NavigatorStatus, 'navigator_status', self._on_navigator, LATCHED)

    def start(self) -> None:
        """Begin to simulate, and say where."""
        self._introduce()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End both threads and free the drawing context."""
        with self._shot:
            self._ending = True
            self._shot.notify()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5.0)

    def _introduce(self) -> None:
        """Log where the robot is, what stands there, and what to ask it for."""
        house, (x, y, yaw) = self._house, self._start_pose
        doors = ', '.join(f'{door.colour} door' for door in house.doors)
        lines = [f'house {house.seed}, robot at ({x:.2f}, {y:.2f}), yaw {yaw:.2f}; in it:']
        for room in house.rooms:
            pieces = [f'{p.colour} {p.category}' for p in house.furniture if p.room == room.index]
            here = ' (the robot is here)' if room.contains(x, y) else ''
            lines.append(f'  {room.kind}{here}: {", ".join(pieces) or "nothing"}')
        lines += [f'  between the rooms: {doors}'] if doors else []
        if said := suggestions(Scene(house), x, y, yaw):
            topic = self.resolve_topic_name('instruction')
            lines += ['to try:'] + [
                f'  ros2 topic pub --once {topic} std_msgs/msg/String "{{data: \'{text}\'}}"'
                for text in said
            ]
        self.get_logger().info('\n'.join(lines))

    # ---- inputs ----

    def _on_navigator(self, status: NavigatorStatus) -> None:
        """Warn of an instruction that names what is not in the house."""
        if status.instruction_id == self._asked:
            return
        self._asked = status.instruction_id
        if absent := missing(self._house, status.instruction):
            self.get_logger().warning(
                f'"{status.instruction}": in this house there is no {" and no ".join(absent)}'
            )

    def _on_velocity(self, message: Twist | TwistStamped) -> None:
        twist = message.twist if self._settings.stamped_cmd_vel else message
        with self._lock:
            try:
                self._world.set_velocity(twist.linear.x, twist.angular.z)
            except ValueError as error:
                self._world.set_velocity(0.0, 0.0)
                self.get_logger().error(
                    f'cmd_vel: {error}; the base stops', throttle_duration_sec=1.0
                )

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Put the robot back to its start; odometry begins again at zero."""
        with self._lock:
            self._world.reset(*self._start_pose)
        response.success, response.message = True, 'the robot is at its start'
        return response

    # ---- the two threads ----

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run a thread's work and keep the error that ends it for the main thread."""
        try:
            work()
        except Exception as error:
            self.failure = str(error) or repr(error)

    def _simulate(self) -> None:
        """Keep the world's time in step with the wall's, times the real-time factor."""
        settings = self._settings
        next_odom = next_image = 0.0
        next_clock = 0.0 if self._clocked else math.inf
        owed = 0.0  # s of simulated time
        last = time.time()  # the clock of the stamps, so that they keep the world's pace
        tick = _TICK / max(1.0, settings.real_time_factor)
        while not self._ending:
            time.sleep(min(max(0.0, last + tick - time.time()), tick))
            now = time.time()
            owed += min(max(0.0, now - last), _MOST_BEHIND) * settings.real_time_factor
            last = now
            while owed >= TIMESTEP and not self._ending:
                owed -= TIMESTEP
                with self._lock:
                    self._world.step()
                    odometry, pose = self._world.odometry, self._world.pose
                reached = odometry.time + TIMESTEP / 2
                if reached < min(next_clock, next_odom, next_image):
                    continue
                stamp = to_stamp(odometry.time if self._clocked else now - owed)
                if self._clock_publisher:  # it goes ahead of everything stamped with it
                    self._clock_publisher.publish(Clock(clock=stamp))
                    next_clock = odometry.time + _CLOCK_PERIOD
                if reached >= next_odom:
                    self._publish_odometry(stamp, odometry, pose)
                    next_odom += 1.0 / settings.odom_rate
                if reached >= next_image:
                    self._request_picture(stamp, pose)
                    next_image += 1.0 / settings.image_rate

    def _draw(self) -> None:
        """Draw the newest picture that is wanted; the context belongs to this thread."""
        renderer = Renderer(self._camera.width, self._camera.height)
        renderer.load(self._house)
        rng = np.random.default_rng(self._settings.seed)
        try:
            while True:
                with self._shot:
                    self._shot.wait_for(lambda: self._wanted is not None or self._ending)
                    if self._ending or self._wanted is None:
                        return
                    (stamp, pose), self._wanted = self._wanted, None
                rgb = self._camera.spoil(renderer.render(*pose, self._camera), rng)
                self._publish_picture(stamp, rgb)
        finally:
            renderer.close()

    # ---- outputs ----

    def _publish_odometry(
        self, stamp: TimeMessage, odometry: WheelOdometry, pose: tuple[float, float, float]
    ) -> None:
        message = Odometry(child_frame_id=self._settings.base_frame)
        message.header.stamp = stamp
        message.twist.twist.linear.x = odometry.speed
        message.twist.twist.angular.z = odometry.turn_rate
        for publisher, frame, (x, y, yaw) in (
            (self._truth, 'map', pose),
            (self._odom, self._settings.odom_frame, (odometry.x, odometry.y, odometry.yaw)),
        ):
            message.header.frame_id = frame
            message.pose.pose.position.x, message.pose.pose.position.y = x, y
            message.pose.pose.orientation = to_quaternion(yaw)
            publisher.publish(message)
        if self._tf:
            transform = TransformStamped(
                header=message.header, child_frame_id=message.child_frame_id
            )
            transform.transform.translation.x = odometry.x
            transform.transform.translation.y = odometry.y
            transform.transform.rotation = message.pose.pose.orientation
            self._tf.sendTransform(transform)

    def _request_picture(self, stamp: TimeMessage, pose: tuple[float, float, float]) -> None:
        """Publish camera_info, and have a picture drawn if somebody listens."""
        camera, focal = self._camera, self._camera.focal_length
        centre_x, centre_y = camera.width / 2, camera.height / 2
        info = CameraInfo(
            width=camera.width, height=camera.height, distortion_model='plumb_bob', d=[0.0] * 5
        )
        info.header.stamp, info.header.frame_id = stamp, self._settings.camera_frame
        info.k = [focal, 0.0, centre_x, 0.0, focal, centre_y, 0.0, 0.0, 1.0]
        info.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        info.p = [focal, 0.0, centre_x, 0.0, 0.0, focal, centre_y, 0.0, 0.0, 0.0, 1.0, 0.0]
        self._info.publish(info)
        if self._image.get_subscription_count() or self._compressed.get_subscription_count():
            with self._shot:
                self._wanted = stamp, pose
                self._shot.notify()

    def _publish_picture(self, stamp: TimeMessage, rgb: np.ndarray) -> None:
        header = Header(stamp=stamp, frame_id=self._settings.camera_frame)
        if self._image.get_subscription_count():
            self._image.publish(to_image(rgb, header))
        if self._compressed.get_subscription_count():
            _, jpeg = cv2.imencode('.jpg', rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
            self._compressed.publish(
                CompressedImage(
                    header=header,
                    format='rgb8; jpeg compressed bgr8',
                    data=array.array('B', jpeg.tobytes()),
                )
            )

    def _camera_transform(self) -> TransformStamped:
        """Place the camera's optical frame (z ahead, x right, y down) on the base."""
        transform = TransformStamped(child_frame_id=self._settings.camera_frame)
        transform.header.frame_id = self._settings.base_frame
        transform.header.stamp = to_stamp(0.0 if self._clocked else time.time())
        transform.transform.translation.z = self._camera.elevation
        cos, sin = math.cos(self._camera.tilt / 2) / 2, math.sin(self._camera.tilt / 2) / 2
        transform.transform.rotation = Quaternion(
            x=-cos - sin, y=cos + sin, z=sin - cos, w=cos - sin
        )
        return transform


def occupancy(house: House) -> OccupancyGrid:
    """Return the house from above, in the frame of ground_truth."""
    left, bottom, right, top = house.bounds
    columns, rows = (
        np.arange(first, last, _CELL) + _CELL / 2 for first, last in ((left, right), (bottom, top))
    )
    points = np.stack(np.meshgrid(columns, rows), axis=-1)
    stands = clearance(house.obstacles(), points) < _CELL / 2
    message = OccupancyGrid(data=np.where(stands, 100, 0).ravel().tolist())
    message.header.frame_id = 'map'
    message.info.resolution = _CELL
    message.info.height, message.info.width = stands.shape
    message.info.origin.position.x, message.info.origin.position.y = left, bottom
    return message


def main(argv: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; 2 for bad parameters, 1 when the simulation fails."""
    return run('sim_robot', lambda: [SimRobot()], __doc__, (Settings,), argv)


if __name__ == '__main__':
    sys.exit(main())
