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
    python_include, numpy_include = sysconfig.get_path('include'), numpy.get_include()
    for path in Path(sys.prefix).glob('share/*/cmake/*rosidl_generator_py*.cmake'):
        text = path.read_text()
        repaired = re.sub(r'/opt/python/[^;"\s]*/include/python3\.\d+', python_include, text)
        repaired = re.sub(r'/[^;"\s]*/site-packages/numpy/_?core/include', numpy_include, repaired)
        if repaired != text:
            path.write_text(repaired)


if __name__ == '__main__':
    main()
