"""Metadata of the package: for pip (wheels from PyPI) and for colcon (ament_python) alike."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
NAME = "qtopt_grasping"
SHARED = ("config", "launch", "models", "urdf", "worlds")

# ROS 2 Kilted with pip alone. Never beside a ROS installation: two rclpy, two Fast DDS.
WHEELS = [
    "ros-rclpy==9.1.2",
    "ros-ament-index-python==1.11.0",
    "ros-builtin-interfaces==2.3.0",
    "ros-diagnostic-msgs==5.5.1",
    "ros-geometry-msgs==5.5.1",
    "ros-rcl-interfaces==2.3.0",
    "ros-rmw-fastrtps-cpp==9.3.3",
    "ros-rosgraph-msgs==2.3.0",
    "ros-sensor-msgs==5.5.1",
    "ros-std-msgs==5.5.1",
    "ros-std-srvs==5.5.1",
    "ros-trajectory-msgs==5.5.1",
    "ros-visualization-msgs==5.5.1",
    "cv-bridge==1.13.0.post0",
    "opencv-python-headless>=4.8,<5",  # with OpenCV 5 cv_bridge 1.13 fails to read colour images
]
DEV = [
    "catkin-pkg",
    "colcon-core>=0.18",
    "colcon-ros>=0.5",
    "hypothesis>=6.100",
    "mypy>=1.13",
    "pytest>=8",
    "pytest-timeout>=2.3",
    "ruff>=0.8",
    "types-PyYAML",
]
BENCH = ["matplotlib>=3.5", "ruckig>=0.14", "stable-baselines3>=2.3"]  # measured beside ours, and what draws


def text(tag: str) -> str:
    """Return the text of an element of package.xml with its white space folded."""
    return " ".join((MANIFEST.findtext(tag) or "").split())


def requirements() -> list[str]:
    """Return the lines of requirements.txt without their comments."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [line for line in (line.split("#")[0].strip() for line in lines) if line]


def data_files() -> list[tuple[str, list[str]]]:
    """Return what ament_index and `ros2 run` look for below the prefix."""
    share = f"share/{NAME}"
    files = [
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (share, ["package.xml"]),
        (f"lib/{NAME}", sorted(f"scripts/{path.name}" for path in (ROOT / "scripts").iterdir())),
    ]
    for folder in SHARED:
        found: dict[str, list[str]] = {}
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                relative = path.relative_to(ROOT)
                found.setdefault(f"{share}/{relative.parent.as_posix()}", []).append(relative.as_posix())
        files.extend(found.items())
    return files


setup(
    name=NAME,
    version=text("version"),
    description=text("description"),
    license=text("license"),
    maintainer=text("maintainer"),
    maintainer_email=next(MANIFEST.iter("maintainer")).attrib["email"],
    package_dir={"": "src"},
    packages=find_packages("src"),
    package_data={"": ["py.typed"]},
    data_files=data_files(),
    python_requires=">=3.10",
    install_requires=requirements(),
    extras_require={"wheels": WHEELS, "dev": DEV, "bench": BENCH},
    entry_points={"console_scripts": ["qtopt = qtopt_learner.cli:main"]},
    zip_safe=False,
)
