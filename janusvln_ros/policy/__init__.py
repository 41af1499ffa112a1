"""
The JanusVLN policy (arXiv 2509.22548): frames and an instruction in, actions out.

In the order of a step: `preprocessing`, `geometry`, `semantics`, `fusion`, `prompt`, `language`
with `memory`, `decoding`. `episode` and `policy` put them together; `checkpoint` and `config` read
the published weights; `parity` checks the whole against golden data.
"""

from janusvln_ros.actions import Action
from janusvln_ros.policy.config import CheckpointError
from janusvln_ros.policy.memory import MemoryConfig, MemoryUsage
from janusvln_ros.policy.policy import Decision, JanusPolicy

__all__ = ['Action', 'CheckpointError', 'Decision', 'JanusPolicy', 'MemoryConfig', 'MemoryUsage']
