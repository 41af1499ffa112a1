"""
Make the ROS wheels in this environment able to build interfaces.

The wheels lack the module ament_package, and their CMake files name the include folders of the
machine that built them. Both are put right; a second run changes nothing.
"""

from pathlib import Path
import re
import shutil
import sys
import sysconfig

import numpy

SYSTEM_AMENT_PACKAGE = Path('/usr/lib/python3/dist-packages/ament_package')


def main() -> None:
    """Copy ament_package from the system, and rewrite the include paths."""
    target = Path(sysconfig.get_path('purelib')) / 'ament_package'
    if not target.exists():
        shutil.copytree(SYSTEM_AMENT_PACKAGE, target)
    for path in Path(sys.prefix).glob('share/*/cmake/*rosidl_generator_py*.cmake'):
        text = path.read_text()
        right = repaired(text, sysconfig.get_path('include'), numpy.get_include())
        if right != text:
            path.write_text(right)


def repaired(text: str, python_include: str, numpy_include: str) -> str:
    """Return a CMake file with these include folders; their names may have spaces."""
    text = re.sub(r'/opt/python/[^;"]*/include/python3\.\d+', lambda _: python_include, text)
    return re.sub(r'/[^;"\n]*/site-packages/numpy/_?core/include', lambda _: numpy_include, text)


if __name__ == '__main__':
    main()
