"""The environment variables under which this project starts its nodes, with `ros2 launch` and without."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

from qtopt_policy.share import share_directory

PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"
RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
FAST_DDS = ("rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp")


def ros_environment(present: Mapping[str, str], one_machine: bool) -> dict[str, str]:
    """Return the variables to set on top of the `present` ones.

    A profile or rmw of the user's own is left alone. On one machine the profile itself binds every socket to
    the loopback interface; the discovery range is then left to it, because rmw_fastrtps answers LOCALHOST by
    adding transports of its own beside the profile's: on 0.0.0.0, and with discovery that takes seconds
    instead of tenths.

    Args:
        present: the environment as it is.
        one_machine: all nodes run here (simulation); else cameras and arms may be anywhere on the network.
    """
    settings = {"PYTHONUNBUFFERED": "1"}
    folder = share_directory() / "config"
    own = bool(present.get(PROFILE)) and Path(present[PROFILE]).parent != folder
    if own or present.get("RMW_IMPLEMENTATION", FAST_DDS[0]) not in FAST_DDS:
        if one_machine and RANGE not in present:
            settings[RANGE] = "LOCALHOST"
        return settings
    settings[PROFILE] = str(folder / ("fastdds_local.xml" if one_machine else "fastdds.xml"))
    if one_machine:
        settings[RANGE] = "SYSTEM_DEFAULT"
    return settings


def shared_memory_needed(settings: Mapping[str, str], processes: int) -> int:
    """Return the bytes that processes with these `settings` allocate in /dev/shm; 0 if it is not our profile.

    Without them Fast DDS goes on over UDP, where images are lost.
    """
    if PROFILE not in settings:
        return 0
    size = ElementTree.parse(settings[PROFILE]).findtext(".//{http://www.eprosima.com}segment_size")
    # Measured: the file of a segment is 4.7 % larger; seven processes have 1 MB of ports.
    return int(processes * (1.05 * int(size or 0) + 2**18))
