"""What is drawn into a picture lies where the camera model says."""

import numpy as np
import pytest

from qtopt_collector.report.frame import film_frame, project_move
from qtopt_policy.camera import CameraModel
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.grasp_action import MOVE, GraspAction
from support.recordings import recording

TOOL = pointing_down([0.5, 0.1, 0.2], 0.7)
CAMERA = CameraModel(64, 64, 50.0, 50.0, 31.5, 31.5, "tool", Pose.from_array([0, 0, -0.2, 0, 0, 0, 1]))


def moved(dx: float, dy: float, dz: float) -> GraspAction:
    return GraspAction(np.array([dx, dy, dz]), 0.0, MOVE)


def test_fingers_straddle_the_tool_point() -> None:
    move = project_move(CAMERA, TOOL, moved(0.0, 0.0, 0.0), 0.08, "tool")
    np.testing.assert_allclose(move.start, [[31.5, 21.5], [31.5, 31.5], [31.5, 41.5]], atol=1e-9)
    np.testing.assert_allclose(move.end, move.start, atol=1e-9)


def test_a_move_along_tool_x_goes_right_in_the_image() -> None:
    move = project_move(CAMERA, TOOL, moved(0.04, 0, 0), 0.08, "tool")
    np.testing.assert_allclose(move.end - move.start, np.tile([10.0, 0.0], (3, 1)), atol=1e-9)


def test_a_move_in_the_base_frame_turns_with_the_camera() -> None:
    move = project_move(CAMERA, TOOL, moved(0.04, 0, 0), 0.08, "base")
    offset = (move.end - move.start)[1]
    assert np.linalg.norm(offset) == pytest.approx(10.0)
    assert np.arctan2(offset[1], offset[0]) == pytest.approx(0.7)


def test_a_point_behind_the_camera_is_not_drawn() -> None:
    move = project_move(CAMERA, TOOL, moved(0, 0, -0.3), 0.08, "tool")
    assert not move.visible


def test_altered_step_tells_what_happened_instead() -> None:
    episode = recording(count=7).episode
    assert "altered by a limit" in film_frame(episode, 3, "tool")
    assert "altered" not in film_frame(episode, 2, "tool")


def test_q_is_shown_only_where_there_is_one() -> None:
    assert "Q 0." in film_frame(recording(policy="cem").episode, 0, "tool")
    assert "Q " not in film_frame(recording(policy="scripted").episode, 0, "tool")
