"""JanusVLN (arXiv 2509.22548) on a robot: camera and instruction in, motion out."""

# The generated interfaces (janusvln_ros.msg, .action) may lie in another folder than the sources.
__path__ = __import__('pkgutil').extend_path(__path__, __name__)
