"""Add the ROS settings of an environment made of wheels to its activate script (once)."""

from pathlib import Path
import sys

MARK = '# --- janusvln_ros: ROS 2 from wheels ---'
SETTINGS = (
    MARK
    + """
export AMENT_PREFIX_PATH="$VIRTUAL_ENV"
export CMAKE_PREFIX_PATH="$VIRTUAL_ENV"
# Sources come from the checkout, new files too; interfaces from the environment.
export PYTHONPATH="$VIRTUAL_ENV/..${PYTHONPATH:+:$PYTHONPATH}"
export RMW_IMPLEMENTATION="${RMW_IMPLEMENTATION:-rmw_fastrtps_cpp}"
# Other machines join when this is set to SUBNET beforehand.
export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
# Raw images are larger than Fast DDS's default shared-memory segment.
export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-\
$VIRTUAL_ENV/share/janusvln_ros/config/fastdds.xml}"
# The wheels restart Python once to find their libraries; another environment must do so again.
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE
"""
)


def main() -> None:
    """Append the settings to the script named by the first argument."""
    path = Path(sys.argv[1])
    before = path.read_text().split(MARK)[0]
    path.write_text(before.rstrip('\n') + '\n\n' + SETTINGS)


if __name__ == '__main__':
    main()
