"""The robot's description: URDF XML out of xacro, and what others need to read out of an SRDF."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from qtopt_policy.errors import ConfigError
from qtopt_policy.share import resolve
from qtopt_policy.urdf import expand as expand


def disabled_collisions(srdf: Path) -> tuple[tuple[str, str], ...]:
    """Return the pairs of links whose collisions the SRDF disables.

    Raises:
        ConfigError: the file is missing or is not XML.
    """
    path = resolve(srdf)
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise ConfigError(f"{path}: cannot be read as SRDF: {error}") from error
    return tuple((e.attrib["link1"], e.attrib["link2"]) for e in root.iter("disable_collisions"))
