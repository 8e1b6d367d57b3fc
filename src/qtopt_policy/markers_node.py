"""Drawings as visualization_msgs/MarkerArray, made only while someone looks."""

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from qtopt_policy.base_node import LATEST_QOS, BaseNode
from qtopt_policy.markers import Drawing, Kind

TYPES: dict[Kind, int] = {
    "dots": Marker.SPHERE_LIST,
    "lines": Marker.LINE_LIST,
    "arrow": Marker.ARROW,
    "text": Marker.TEXT_VIEW_FACING,
}
# Diameter of an arrow's head, in shafts.
HEAD = 2.5


class MarkerPublisher:
    """Publishes drawings on one topic.

    Args:
        node: that publishes.
        topic: name.
        frame: of the drawings' points.
    """

    def __init__(self, node: BaseNode, topic: str, frame: str) -> None:
        self._publisher = node.create_publisher(MarkerArray, topic, LATEST_QOS)
        self._frame = frame

    @property
    def wanted(self) -> bool:
        """Whether anybody looks at or records the markers."""
        return bool(self._publisher.get_subscription_count())

    def publish(self, drawings: Sequence[Drawing], stamp: Time) -> None:
        """Publish drawings, which stay until others of their names come. Any thread."""
        markers = [marker_message(drawing, self._frame, stamp) for drawing in drawings]
        self._publisher.publish(MarkerArray(markers=markers))


def marker_message(drawing: Drawing, frame: str, stamp: Time) -> Marker:
    """Build the message of one drawing."""
    marker = Marker(ns=drawing.name, type=TYPES[drawing.kind], action=Marker.ADD, text=drawing.text)
    marker.header.frame_id, marker.header.stamp = frame, stamp
    marker.pose.orientation.w = 1.0
    if len(drawing.points) == 0:
        marker.action = Marker.DELETE
        return marker
    scale, size = marker.scale, drawing.size
    scale.x, scale.y, scale.z = (size, HEAD * size, 0.0) if drawing.kind == "arrow" else (size, size, size)
    marker.color = _colour(drawing.colours[0])
    if drawing.kind == "text":
        marker.pose.position = _point(drawing.points[0])
        return marker
    marker.points = [_point(point) for point in drawing.points]
    if len(drawing.colours) == len(drawing.points):
        marker.colors = [_colour(colour) for colour in drawing.colours]
    return marker


def _point(values: NDArray[np.float64]) -> Point:
    return Point(**dict(zip("xyz", values.tolist(), strict=True)))


def _colour(values: NDArray[np.float64]) -> ColorRGBA:
    return ColorRGBA(**dict(zip("rgba", values.tolist(), strict=True)))
