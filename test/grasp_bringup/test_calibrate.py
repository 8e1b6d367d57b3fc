"""`qtopt calibrate` on rendered pictures of a board: the camera's pose is recovered within the tolerance."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from rich.console import Console

from grasp_bringup.calibrate import (
    CalibrateOptions,
    draw_board,
    pose_line,
    read_recording,
    read_views,
    run,
)
from grasp_bringup.charuco import Board, find_board
from grasp_bringup.hand_eye import MIN_VIEWS, View, require_turning, solve
from qtopt_policy.camera import Mount
from qtopt_policy.config import to_mapping
from qtopt_policy.errors import ConfigError, UnknownNameError
from qtopt_policy.geometry import Pose, pointing_down
from qtopt_policy.robot import load_robot
from qtopt_policy.share import resolve
from support.lying_pictures import claiming

BOARD = Board()
WIDTH, HEIGHT = 640, 480
MATRIX = np.array([[600.0, 0.0, 322.0], [0.0, 600.0, 238.0], [0.0, 0.0, 1.0]])
TRUTH: dict[Mount, Pose] = {
    "tool": Pose(np.array([0.07, 0.01, -0.11]), np.array([0.13, -0.02, 0.70, 0.70])),
    "base": Pose(np.array([1.05, 0.05, 0.45]), np.array([-0.58, -0.60, 0.38, 0.40])),
}
TOLERANCE = 0.001, math.radians(0.15)  # [m], [rad]
PIXELS_PER_SQUARE = 80
VIEWS = 10


def turn(axis: tuple[float, float, float], degrees: float) -> Pose:
    vector = np.array(axis) / np.linalg.norm(axis) * math.radians(degrees)
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(vector)[0]
    return Pose.from_matrix(matrix)


def shift(x: float, y: float, z: float) -> Pose:
    return Pose(np.array([x, y, z]), np.array([0.0, 0.0, 0.0, 1.0]))


def boards_in_camera(rng: np.random.Generator) -> list[Pose]:
    """Return poses of the board before the camera: centred, 0.4 m away, tilted about changing axes."""
    centre = shift(-0.5 * BOARD.columns * BOARD.square, -0.5 * BOARD.rows * BOARD.square, 0.0)
    poses = []
    for i in range(VIEWS):
        angle = 2.0 * math.pi * i / VIEWS
        tilt = turn((math.cos(angle), math.sin(angle), 0.3), rng.uniform(20.0, 35.0))
        x, y, z = rng.uniform((-0.03, -0.02, 0.36), (0.03, 0.02, 0.46))
        poses.append(shift(x, y, z) @ tilt @ centre)
    return poses


def render(board_in_camera: Pose, noise: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture, grey, that a pinhole camera takes of the board."""
    scale = BOARD.square / PIXELS_PER_SQUARE
    rotation = board_in_camera.rotation()
    plane = np.column_stack([rotation[:, 0] * scale, rotation[:, 1] * scale, board_in_camera.position])
    # A pixel's centre is half a pixel from its corner, where the board's frame begins.
    homography = MATRIX @ plane @ np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    fine = np.array([[3.0, 0.0, 1.0], [0.0, 3.0, 1.0], [0.0, 0.0, 1.0]])
    sheet = BOARD.draw(PIXELS_PER_SQUARE)
    large = cv2.warpPerspective(
        sheet, fine @ homography, (3 * WIDTH, 3 * HEIGHT), flags=cv2.INTER_AREA, borderValue=200
    )
    picture = cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float64)
    return np.clip(picture + noise.normal(0.0, 2.0, picture.shape), 0, 255).astype(np.uint8)


def tool_poses(mount: Mount, boards: list[Pose]) -> list[Pose]:
    """Return the tool's poses at which a camera at TRUTH sees these boards."""
    if mount == "tool":  # the board lies on the table
        board = pointing_down(np.array([0.5, 0.1, 0.02]), 0.4)
        return [board @ (TRUTH["tool"] @ seen).inverse() for seen in boards]
    board = Pose(np.array([0.02, -0.03, 0.08]), np.array([0.05, 0.02, 0.1, 1.0]))  # on the tool
    return [TRUTH["base"] @ seen @ board.inverse() for seen in boards]


def record(folder: Path, mount: Mount, listing: str = "csv") -> Path:
    rng = np.random.default_rng(3)
    boards = boards_in_camera(rng)
    rows: list[tuple[str, list[float]]] = []
    for i, (board, tool) in enumerate(zip(boards, tool_poses(mount, boards), strict=True)):
        name = f"{i:02}.png"
        cv2.imwrite(str(folder / name), render(board, rng))
        rows.append((name, tool.as_array().tolist()))
    info = {"width": WIDTH, "height": HEIGHT, "k": MATRIX.ravel().tolist(), "d": [0.0] * 5}
    (folder / "camera_info.yaml").write_text(yaml.safe_dump(info) + "---\n")
    if listing == "json":
        text = json.dumps([{"image": name, "pose": pose} for name, pose in rows])
        (folder / "poses.json").write_text(text)
        return folder
    with (folder / "poses.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "x", "y", "z", "qx", "qy", "qz", "qw"))
        writer.writerows([name, *pose] for name, pose in rows)
    return folder


@pytest.fixture(scope="module", params=["tool", "base"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mount, Path]:
    mount: Mount = request.param
    listing = "csv" if mount == "tool" else "json"
    return mount, record(tmp_path_factory.mktemp(mount), mount, listing)


def robot_file(folder: Path, mount: Mount, pose: Pose | None) -> Path:
    robot = load_robot(resolve(Path("config/robots/sim.yaml")))
    values = to_mapping(robot)
    camera = {"mount": mount, "frame": "no_such_frame", "pose": None}
    if pose is not None:
        camera["pose"] = pose.as_array().tolist()
    values["cameras"] = {"wrist": camera}
    path = folder / "my_arm.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_the_pose_is_recovered_within_a_millimetre(recorded: tuple[Mount, Path]) -> None:
    mount, folder = recorded
    recording = read_recording(folder)
    views, left_out = read_views(recording, BOARD)
    assert (len(views), left_out) == (VIEWS, {})
    result = solve(views, recording.matrix, mount)
    assert result.camera.distance(TRUTH[mount]) < TOLERANCE[0]
    assert result.camera.angle(TRUTH[mount]) < TOLERANCE[1]
    assert result.error < 0.3


def test_a_wrong_pose_in_the_robot_file_is_told_with_the_lines_that_mend_it(
    recorded: tuple[Mount, Path], tmp_path: Path
) -> None:
    mount, folder = recorded
    console = Console(record=True, width=300)
    path = robot_file(tmp_path, mount, TRUTH[mount] @ shift(0.02, 0.0, 0.0))
    assert run(CalibrateOptions(folder, path), console) == 1
    text = console.export_text()
    assert "20.0 mm and 0.0" in text
    assert "put the new pose into the robot file" in text
    block = text[text.index("cameras:") : text.index("]", text.index("pose: [")) + 1]
    pasted = yaml.safe_load(block)["cameras"]["wrist"]
    assert (pasted["mount"], pasted["frame"]) == (mount, "no_such_frame")
    mended = robot_file(tmp_path, mount, Pose.from_array(pasted["pose"]))
    console = Console(record=True, width=300)
    assert run(CalibrateOptions(folder, mended), console) == 0
    assert "within tolerance" in console.export_text()


def test_a_robot_file_without_a_pose_gets_one(recorded: tuple[Mount, Path], tmp_path: Path) -> None:
    mount, folder = recorded
    console = Console(record=True, width=300)
    assert run(CalibrateOptions(folder, robot_file(tmp_path, mount, None)), console) == 1
    assert "no pose yet" in console.export_text()


def test_a_board_measured_wrongly_shows_in_the_error(recorded: tuple[Mount, Path]) -> None:
    mount, folder = recorded
    recording = read_recording(folder)
    views, _ = read_views(recording, replace(BOARD, square=0.030, marker=0.022))
    assert solve(views, recording.matrix, mount).error > 1.5


def test_a_picture_without_the_board_is_left_out(tmp_path: Path) -> None:
    folder = record(tmp_path, "tool")
    cv2.imwrite(str(folder / "04.png"), np.full((HEIGHT, WIDTH), 128, dtype=np.uint8))
    views, left_out = read_views(read_recording(folder), BOARD)
    assert (len(views), left_out) == (VIEWS - 1, {"04.png": "board not found"})


def view(tool: Pose) -> View:
    return View("", tool, np.zeros((6, 3)), np.zeros((6, 2)), Pose.identity())


def test_too_few_views_are_refused() -> None:
    with pytest.raises(ConfigError, match=f"{MIN_VIEWS - 1} usable views, at least {MIN_VIEWS}"):
        require_turning([view(Pose.identity())] * (MIN_VIEWS - 1))


def test_turning_about_one_axis_alone_is_refused() -> None:
    turns = [turn((0.0, 0.0, 1.0), 12.0 * i) for i in range(MIN_VIEWS)]
    with pytest.raises(ConfigError, match="about a second axis"):
        require_turning([view(pose) for pose in turns])
    require_turning([view(pose @ turn((1.0, 0.0, 0.0), 25.0 * (i % 2))) for i, pose in enumerate(turns)])


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("camera_info.yaml", "width: 640", "camera_info.yaml: expected width, height and k"),
        ("camera_info.yaml", None, "camera_info.yaml: expected width"),
        ("camera_info.yaml", "{width: 640, height: 480, k: [1, 2], d: []}", "expected width, height and k"),
        ("camera_info.yaml", f"{{width: 1, height: 1, k: {[1.0] * 9}, d: [0.1]}}", "record rectified"),
        ("poses.csv", "image,x\n00.png,1\n", "poses.csv: expected columns image,x,y,z,qx"),
        ("poses.csv", "image,x,y,z,qx,qy,qz,qw\n", "holds no pose"),
        ("poses.csv", None, "poses.json: expected"),
        ("00.png", None, "00.png: cannot be read as a picture"),
        ("00.png", np.zeros((100, 200), dtype=np.uint8), "00.png: 200 x 100 pixels, camera_info.yaml says"),
    ],
)
def test_what_is_wrong_with_a_recording_is_named(name: str, text: object, match: str, tmp_path: Path) -> None:
    info = {"width": WIDTH, "height": HEIGHT, "k": MATRIX.ravel().tolist(), "d": []}
    (tmp_path / "camera_info.yaml").write_text(yaml.safe_dump(info))
    (tmp_path / "poses.csv").write_text("image,x,y,z,qx,qy,qz,qw\n00.png,0,0,0,0,0,0,1\n")
    cv2.imwrite(str(tmp_path / "00.png"), np.zeros((HEIGHT, WIDTH), dtype=np.uint8))
    if text is None:
        (tmp_path / name).unlink()
    elif isinstance(text, str):
        (tmp_path / name).write_text(text)
    else:
        cv2.imwrite(str(tmp_path / name), text)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match=match):
        read_views(read_recording(tmp_path), BOARD)


def test_a_picture_that_claims_to_be_huge_is_named(tmp_path: Path) -> None:
    folder = record(tmp_path, "tool")
    picture = folder / "04.png"
    picture.write_bytes(claiming(40_000, picture.read_bytes()))
    with pytest.raises(ConfigError, match=r"04\.png: cannot be read as a picture: "):
        read_views(read_recording(folder), BOARD)


def test_a_printed_board_is_found_in_its_own_picture(tmp_path: Path) -> None:
    draw_board(BOARD, tmp_path / "board.png")
    picture = cv2.imread(str(tmp_path / "board.png"), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    found = find_board(BOARD, np.asarray(picture, dtype=np.uint8), MATRIX)
    assert found is not None
    assert len(found[0]) == (BOARD.columns - 1) * (BOARD.rows - 1)


def test_an_unknown_dictionary_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(UnknownNameError, match="DICT_5X5_100"):
        Board(dictionary="DICT_5X5")


def test_the_lines_to_paste_are_yaml() -> None:
    lines = pose_line("wrist", "tool", "lens", TRUTH["tool"])
    pose = yaml.safe_load(lines)["cameras"]["wrist"]["pose"]
    np.testing.assert_allclose(pose, TRUTH["tool"].as_array(), atol=1e-6)
