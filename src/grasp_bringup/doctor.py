"""What is installed, missing or mixed, and the command that mends it: `qtopt doctor`."""

from collections.abc import Iterator, Mapping

from rich.console import Console

from grasp_bringup.environment import ros_environment, shared_memory_needed
from grasp_bringup.finding import STYLES, Finding
from grasp_bringup.machine import Machine, inspect_machine
from grasp_bringup.security.middleware import HINT, examine
from grasp_bringup.system import SystemOptions, system_nodes
from qtopt_policy.errors import QtoptError

# Distribution, least version, first version that is refused, why.
PINS = (
    ("numpy", "1.26", "2.3", "cv_bridge writes images with tostring, which numpy 2.3 lacks"),
    ("opencv-python-headless", "4.8", "5", "with OpenCV 5 cv_bridge fails to read colour images"),
    ("opencv-python", "4.8", "5", "with OpenCV 5 cv_bridge fails to read colour images"),
    ("mujoco", "3.13", "4", "4 is a meta package: upgrading in place breaks the import"),
    ("torch", "2.3", "3", ""),
    ("rosbags", "0.11", "0.12", "0.11 is the first with ROS 2 Kilted"),
)
LIBRARIES = (
    *("numpy", "torch", "mujoco", "gymnasium", "mcap", "rosbags"),
    *("safetensors", "xacro", "pyyaml", "tyro", "rich", "tensorboard"),
)
# What a robot or Gazebo needs beside this package: ROS packages, and what they are for.
PARTS = (
    ("MoveIt", ("moveit_py", "moveit_servo"), "arm motion on a robot"),
    ("Gazebo", ("ros_gz_sim", "ros_gz_bridge", "gz_ros2_control"), "simulation in Gazebo"),
    ("controllers", ("joint_trajectory_controller", "joint_state_broadcaster"), "driving a robot's joints"),
    ("launch", ("launch", "launch_ros"), "ros2 launch; `qtopt` starts the same nodes without it"),
)


def diagnose(machine: Machine) -> tuple[Finding, ...]:
    """Return all findings about a machine, in the order of reading."""
    checks = (_python, _ros, _middleware, _mixture, _shared_memory, _images, _pins, _libraries, _gl, _parts)
    return tuple(finding for check in checks for finding in check(machine))


def main() -> int:
    """Print the findings about this machine; return 1 if something must be mended, else 0."""
    machine = inspect_machine()
    findings = (*diagnose(machine), security(machine.environ))
    console = Console(soft_wrap=True, highlight=False)
    for finding in findings:
        console.print(f"{finding.level:7}", style=STYLES[finding.level], end="")
        console.print(f"{finding.subject}: {finding.text}", markup=False)
        if finding.mend:
            console.print(f"       mend: {finding.mend}", markup=False)
    return int(any(finding.level == "wrong" for finding in findings))


def security(environ: Mapping[str, str]) -> Finding:
    """Try whether the middleware reads credentials; a process of its own makes a node for that."""
    try:
        answer, lack = examine(environ)
    except QtoptError as error:
        return Finding("security", "absent", f"for security:=true: {error}")
    if lack:
        return Finding("security", "absent", f"for security:=true: {answer.middleware}: {lack}", HINT)
    return Finding("security", "ok", f"{answer.rmw} refuses an enclave without credentials")


def _python(machine: Machine) -> Iterator[Finding]:
    text = "{}.{}".format(*machine.python)
    if machine.python < (3, 10):
        yield Finding("Python", "wrong", text, "make setup PYTHON=python3.12 (3.10 or newer)")
    else:
        yield Finding("Python", "ok", text)


def _from_wheels(machine: Machine) -> bool:
    return "ros-rclpy" in machine.versions


def _ros(machine: Machine) -> Iterator[Finding]:
    if not machine.rclpy:
        mend = "pip install 'qtopt_grasping[wheels]', or: source /opt/ros/$ROS_DISTRO/setup.bash"
        yield Finding("ROS 2", "wrong", "no rclpy", mend)
    elif _from_wheels(machine):
        yield Finding("ROS 2", "ok", f"wheels from PyPI, rclpy {machine.versions['ros-rclpy']}")
    else:
        distribution = machine.environ.get("ROS_DISTRO", "unknown distribution")
        yield Finding("ROS 2", "ok", f"installation: {distribution}, {machine.rclpy[0].parent}")


def _middleware(machine: Machine) -> Iterator[Finding]:
    rmw = machine.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if _from_wheels(machine) and rmw != "rmw_fastrtps_cpp":
        text = f"RMW_IMPLEMENTATION={rmw}, but the wheels bring Fast DDS alone"
        yield Finding("rmw", "wrong", text, "unset RMW_IMPLEMENTATION")
    else:
        yield Finding("rmw", "ok", rmw)


def _mixture(machine: Machine) -> Iterator[Finding]:
    """Two ROS in one process: the symbols of one, the messages of the other, and crashes without a word."""
    mend = "a shell that has not sourced /opt/ros, or an environment without the wheels: docs/installation.md"
    for name, places in (("rclpy", machine.rclpy), ("Fast DDS", machine.fast_dds)):
        if len(places) > 1:
            yield Finding("mixture", "wrong", f"two {name}: {' and '.join(map(str, places))}", mend)


def _shared_memory(machine: Machine) -> Iterator[Finding]:
    nodes = len(system_nodes(SystemOptions())) + 1
    needed = shared_memory_needed(ros_environment(machine.environ, one_machine=True), nodes)
    text = f"{machine.shared_memory // 2**20} MB free in /dev/shm"
    if machine.shared_memory < needed:
        mend = "docker run --shm-size=512m, or: mount -o remount,size=512m /dev/shm"
        text += f", a simulation needs {needed // 2**20} MB"
        yield Finding("shared memory", "wrong", text, mend)
    else:
        yield Finding("shared memory", "ok", text)


def _images(machine: Machine) -> Iterator[Finding]:
    if machine.cv_bridge:
        yield Finding("cv_bridge", "ok", str(machine.cv_bridge[0]))
    elif _from_wheels(machine):
        yield Finding("cv_bridge", "wrong", "not installed", "pip install 'qtopt_grasping[wheels]'")
    else:
        yield Finding("cv_bridge", "wrong", "not installed", "apt install ros-$ROS_DISTRO-cv-bridge")


def _pins(machine: Machine) -> Iterator[Finding]:
    for name, least, refused, reason in PINS:
        version = machine.versions.get(name)
        if version is None:
            continue
        if _parts_of(least) <= _parts_of(version) < _parts_of(refused):
            yield Finding(name, "ok", version)
        else:
            text = f"{version}, but {least} <= version < {refused} is needed"
            mend = f"pip install '{name}>={least},<{refused}'"
            yield Finding(name, "wrong", f"{text}: {reason}" if reason else text, mend)


def _parts_of(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: 2.13.0+cpu gives (2, 13, 0)."""
    numbers: list[int] = []
    for part in version.replace("+", ".").split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _libraries(machine: Machine) -> Iterator[Finding]:
    missing = [name for name in LIBRARIES if name not in machine.versions]
    if missing:
        yield Finding(
            "libraries", "wrong", f"not installed: {', '.join(missing)}", "pip install qtopt_grasping"
        )


def _gl(machine: Machine) -> Iterator[Finding]:
    asked = machine.environ.get("MUJOCO_GL", "")
    library = {"osmesa": "OSMesa", "egl": "EGL"}.get(asked.lower())
    mend = "apt-get install libosmesa6, or: apt-get install libegl1 libgl1-mesa-dri"
    if asked and library is None:
        yield Finding("GL", "wrong", f"MUJOCO_GL={asked}: not osmesa or egl", "unset MUJOCO_GL")
    elif library is not None and library not in machine.gl:
        yield Finding("GL", "wrong", f"MUJOCO_GL={asked}, but {library} is not installed", mend)
    elif machine.gl:
        yield Finding("GL", "ok", " and ".join(sorted(machine.gl)))
    else:
        yield Finding("GL", "wrong", "neither OSMesa nor EGL: the simulator cannot render", mend)


def _parts(machine: Machine) -> Iterator[Finding]:
    for subject, packages, purpose in PARTS:
        missing = [name for name in packages if name not in machine.ros_packages]
        if not missing:
            yield Finding(subject, "ok", ", ".join(packages))
            continue
        mend = "needs a ROS installation: docs/installation.md"
        if not _from_wheels(machine):
            mend = "apt install " + " ".join(f"ros-$ROS_DISTRO-{name.replace('_', '-')}" for name in missing)
        yield Finding(subject, "absent", f"no {', '.join(missing)}: for {purpose}", mend)
