"""JanusVLN (arXiv 2509.22548) on a robot: camera and instruction in, motion out."""

# The generated interfaces (janusvln_ros.msg, .action) may lie in another folder than the sources.
__path__ = __import__('pkgutil').extend_path(__path__, __name__)


def version() -> str:
    """Return the version: package.xml's of the sources or the ROS package, else the wheel's."""
    from importlib.metadata import version as version_of
    from pathlib import Path
    import xml.etree.ElementTree as ElementTree

    here = Path(__file__).resolve()
    for folder in (here.parents[1], *(parent / 'share' / __name__ for parent in here.parents)):
        if (folder / 'package.xml').is_file():
            return ElementTree.parse(folder / 'package.xml').findtext('version', '')
    return version_of(__name__)
