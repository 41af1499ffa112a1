"""
Imported by what plays a part beside the nodes that are tested: its nodes look at messages only.

rclpy else watches each topic for partners of other qualities, to warn of them, and half of a
node's time goes into that.
"""

from functools import partialmethod

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

for kind in PublisherEventCallbacks, SubscriptionEventCallbacks:
    kind.__init__ = partialmethod(kind.__init__, use_default_callbacks=False)
