import json

import numpy as np
import pytest

from qtopt_policy.camera import CameraModel
from qtopt_policy.errors import ConfigError
from qtopt_policy.geometry import Pose

CAMERA = CameraModel(
    64, 48, 70.5, 71.25, 31.5, 23.5, "tool", Pose.from_array([0.1, -0.2, 0.3, 0, 0.6, 0, 0.8])
)


def test_survives_json() -> None:
    data = json.loads(json.dumps(CAMERA.to_mapping()))
    again = CameraModel.from_mapping(data, "bag")
    assert again.to_mapping() == CAMERA.to_mapping()
    np.testing.assert_array_equal(again.pose.as_array(), CAMERA.pose.as_array())


@pytest.mark.parametrize("change", [{"fx": "wide"}, {"mount": "wall"}, {"width": None}, {"zoom": 2}])
def test_names_what_is_wrong(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="bag: camera"):
        CameraModel.from_mapping(CAMERA.to_mapping() | change, "bag")


def test_a_missing_key_is_refused() -> None:
    data = CAMERA.to_mapping()
    del data["fy"]
    with pytest.raises(ConfigError, match="expected the keys"):
        CameraModel.from_mapping(data, "bag")
