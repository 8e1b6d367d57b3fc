"""Double of RobotModel: one planning group, out of URDF and SRDF."""

import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np

from grasp_bringup.kinematics import Kinematics


class RobotModel:
    """The chain of one group, and the limits of robot_description_planning."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.urdf = parameters["robot_description"]
        root = ElementTree.fromstring(self.urdf)
        parents = {j.find("child").get("link"): j for j in root.iter("joint") if j.find("child") is not None}  # type: ignore[union-attr]
        self.frame = next(
            link.get("name", "") for link in root.iter("link") if link.get("name") not in parents
        )
        group = next(
            g
            for g in ElementTree.fromstring(parameters["robot_description_semantic"]).iter("group")
            if g.find("chain") is not None
        )
        chain = group.find("chain")
        assert chain is not None
        self.group, self.tip = group.get("name", ""), chain.get("tip_link", "")
        joints = []
        link: str | None = self.tip
        while link != chain.get("base_link"):
            joint = parents[link]
            if joint.get("type") != "fixed":
                joints.append(joint.get("name", ""))
            link = joint.find("parent").get("link")  # type: ignore[union-attr]
        self.joints = tuple(reversed(joints))
        self.kinematics = Kinematics(self.urdf, self.frame, self.tip, self.joints)
        planning = parameters["robot_description_planning"]
        limits = planning["joint_limits"]
        self.velocities = np.array([limits[name]["max_velocity"] for name in self.joints])
        self.accelerations = np.array([limits[name]["max_acceleration"] for name in self.joints])
        assert all(limits[name]["has_acceleration_limits"] for name in self.joints), "Pilz needs them"
        self.cartesian = planning["cartesian_limits"]

    def require_group(self, name: str) -> None:
        if name != self.group:
            raise RuntimeError(f"Group '{name}' not found")
