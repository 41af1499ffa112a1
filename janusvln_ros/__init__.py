"""JanusVLN (arXiv 2509.22548) on a robot: camera and instruction in, motion out."""

from pathlib import Path

# The generated interfaces (janusvln_ros.msg, .action) may lie in another folder than the sources.
__path__ = __import__('pkgutil').extend_path(__path__, __name__)


def version() -> str:
    """Return the version, of package.xml."""
    import xml.etree.ElementTree as ElementTree

    return ElementTree.parse(share() / 'package.xml').findtext('version', '')


def share() -> Path:
    """
    Return the folder of package.xml, config/ and models/.

    It is the checkout of the sources, or share/janusvln_ros of what they were installed into, by
    ROS or by pip. Raises FileNotFoundError where it was left out.
    """
    here = Path(__file__).resolve()
    for folder in (here.parents[1], *(parent / 'share' / __name__ for parent in here.parents)):
        if (folder / 'package.xml').is_file():
            return folder
    raise FileNotFoundError(f'{here.parent} was installed without its share/janusvln_ros')
