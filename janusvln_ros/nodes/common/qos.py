"""Qualities of service of the topics; docs/robots.md says who may publish with which."""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

_BOUNCES = 100  # messages of a button that may come before one is looked at: none is lost

LATEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
# A press reaches whoever listens with all three, however it is sent.
BUTTON = (
    QoSProfile(depth=_BOUNCES, reliability=ReliabilityPolicy.RELIABLE),
    QoSProfile(depth=_BOUNCES, reliability=ReliabilityPolicy.BEST_EFFORT),
    QoSProfile(
        depth=_BOUNCES,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    ),
)


def button_warnings(quality: QoSProfile) -> SubscriptionEventCallbacks:
    """
    Give what one of the BUTTON listeners warns of.

    It is no fault that a button fits one of them only. The one that fits all warns of wrong types.
    """
    fits_all = quality.reliability is ReliabilityPolicy.BEST_EFFORT
    return SubscriptionEventCallbacks(use_default_callbacks=fits_all)
