"""
The JanusVLN policy (arXiv 2509.22548): frames and an instruction in, actions out.

In the order of a step: `preprocessing`, the encoders in `network`, `prompt`, `network.language`
with `attention` over `memory`, `decoding`. `context` and `janus` put them together; `interface` is
what others need to know. Names here are loaded when they are asked for (PEP 562): importing the
package loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from janusvln_ros.actions import Action
    from janusvln_ros.policy.interface import Decision, MemoryUsage
    from janusvln_ros.policy.janus import JanusPolicy
    from janusvln_ros.policy.memory import MemoryConfig
    from janusvln_ros.policy.network.config import CheckpointError

_HOMES = {
    'Action': 'actions',
    'CheckpointError': 'policy.network.config',
    'Decision': 'policy.interface',
    'JanusPolicy': 'policy.janus',
    'MemoryConfig': 'policy.memory',
    'MemoryUsage': 'policy.interface',
}
__all__ = ['Action', 'CheckpointError', 'Decision', 'JanusPolicy', 'MemoryConfig', 'MemoryUsage']


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'janusvln_ros.{_HOMES[name]}'), name)
