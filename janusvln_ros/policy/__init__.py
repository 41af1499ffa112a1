"""The JanusVLN policy: frames and an instruction in, actions out."""

from janusvln_ros.policy.config import CheckpointError
from janusvln_ros.policy.decoding import Action
from janusvln_ros.policy.memory import MemoryConfig, MemoryUsage
from janusvln_ros.policy.policy import Decision, JanusPolicy

__all__ = ['Action', 'CheckpointError', 'Decision', 'JanusPolicy', 'MemoryConfig', 'MemoryUsage']
