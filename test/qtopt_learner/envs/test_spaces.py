from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from qtopt_learner.envs.actions import ActionMap
from qtopt_learner.envs.observations import ObservationMap, stack
from qtopt_policy.errors import ConfigError

IMAGE = spaces.Box(0, 255, (12, 10, 3), np.uint8)
BOX = spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([3.0, 2.0], np.float32))


def test_a_vector_is_scaled_by_its_bounds() -> None:
    found = ObservationMap(BOX)
    assert (found.spec.image, found.spec.vector_size) == (None, 2)
    image, vector = found.encode(np.array([3.0, 0.5], np.float32))
    assert image.shape == (0, 0, 0)
    np.testing.assert_allclose(vector, [1.0, -0.5])


def test_numbers_without_bounds_are_compressed_and_keep_their_order() -> None:
    found = ObservationMap(spaces.Box(-np.inf, np.inf, (4,), np.float64))
    vector = found.encode(np.array([-1e6, -0.01, 0.01, 50.0]))[1]
    assert (np.diff(vector) > 0).all()
    np.testing.assert_allclose(vector, [-13.815512, -0.00995, 0.00995, 3.931826], rtol=1e-4)


@pytest.mark.parametrize("shape", [(12, 10, 3), (12, 10, 1), (12, 10)])
def test_an_image_is_taken_as_it_is(shape: tuple[int, ...]) -> None:
    found = ObservationMap(spaces.Box(0, 255, shape, np.uint8))
    assert found.spec.image == (*shape, 1)[:3]
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image, vector = found.encode(pixels)
    np.testing.assert_array_equal(image, pixels.reshape(found.spec.image))
    assert vector.shape == (0,)


def test_a_dict_holds_an_image_and_numbers_by_name() -> None:
    space = spaces.Dict(
        {"eye": IMAGE, "arm": spaces.Dict({"joints": BOX, "mode": spaces.Discrete(3, start=1)})}
    )
    found = ObservationMap(space)
    assert [(field.name, field.size) for field in found.spec.vectors] == [("arm/joints", 2), ("arm/mode", 3)]
    values = {"eye": np.full((12, 10, 3), 7, np.uint8), "arm": {"joints": [1.0, 1.0], "mode": 2}}
    image, vector = found.encode(values)
    assert (image == 7).all()
    assert vector.tolist() == [0.0, 0.0, 0.0, 1.0, 0.0]
    columns = stack([(image, vector)] * 3)
    assert (columns["image"].shape, columns["vectors"].shape) == ((3, 12, 10, 3), (3, 5))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Dict({"a": IMAGE, "b": IMAGE}), "2 images: a, b"),
        (spaces.Box(0, 255, (3, 64, 64), np.uint8), "expected \\(height, width, channels\\)"),
        (spaces.Dict({"text": spaces.Text(5)}), "text: .* is not supported"),
        (
            spaces.Dict({"eye": spaces.Box(0.0, 1.0, (64, 64, 3))}),
            "eye: .* an image must be uint8.*Transform",
        ),
    ],
)
def test_observations_that_are_not_supported_are_named(space: spaces.Space[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ObservationMap(space)


def test_a_box_is_continuous() -> None:
    found = ActionMap(spaces.Box(np.array([[-1.0], [0.0]]), np.array([[1.0], [5.0]]), dtype=np.float64))
    assert (found.spec.low.tolist(), found.spec.high.tolist(), found.spec.choices) == ([-1, 0], [1, 5], ())
    action = found.decode(np.array([0.5, 9.0], np.float32))
    assert (action.tolist(), action.dtype) == ([[0.5], [5.0]], np.float64)


def test_a_discrete_is_a_choice() -> None:
    found = ActionMap(spaces.Discrete(3, start=5))
    assert found.spec.choices == ("action=0", "action=1", "action=2")
    assert [found.decode(row) for row in np.eye(3, dtype=np.float32)] == [5, 6, 7]


def test_a_single_choice_is_none() -> None:
    found = ActionMap(spaces.Tuple((spaces.Discrete(1), BOX)))
    assert found.spec.choices == ()
    assert found.decode(np.array([0.0, 1.0], np.float32))[0] == 0


def test_a_dict_of_both_is_built_in_its_own_shape() -> None:
    parts = {"move": BOX, "grip": spaces.Discrete(2), "more": spaces.Tuple((spaces.Discrete(3), BOX))}
    space = spaces.Dict(parts)
    found = ActionMap(space)
    assert (len(found.spec.continuous), len(found.spec.choices)) == (4, 6)
    assert found.spec.choices[5] == "action/grip=1 action/more/0=2"
    action = found.decode(np.concatenate([[1.0, 1.0, 2.0, 2.0], np.eye(6)[4]]).astype(np.float32))
    assert space.contains(action)
    assert (action["grip"], action["more"][0]) == (1, 1)
    # Gymnasium sorts the keys of a dict: grip, more, move.
    assert (action["more"][1].tolist(), action["move"].tolist()) == ([1.0, 1.0], [2.0, 2.0])


def test_random_actions_cover_the_space() -> None:
    space = spaces.Dict({"move": BOX, "grip": spaces.Discrete(2)})
    found, rng = ActionMap(space), np.random.default_rng(0)
    actions = [found.decode(found.sample(rng)) for _ in range(300)]
    assert all(space.contains(action) for action in actions)
    assert {action["grip"] for action in actions} == {0, 1}
    moves = np.array([action["move"] for action in actions])
    np.testing.assert_allclose(moves.mean(axis=0), [1.0, 1.0], atol=0.2)


def test_noise_moves_within_the_bounds_and_keeps_the_choice() -> None:
    found, rng = ActionMap(spaces.Dict({"move": BOX, "grip": spaces.Discrete(2)})), np.random.default_rng(0)
    vector = found.spec.encode([1.0, 1.0], 1)
    moved = np.array([found.disturb(vector, 0.5, rng) for _ in range(500)])
    assert (moved[:, 2:] == [0.0, 1.0]).all()
    assert ((moved[:, :2] >= found.spec.low) & (moved[:, :2] <= found.spec.high)).all()
    assert moved[:, 0].std() == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Box(-np.inf, np.inf, (2,)), "is not bounded"),
        (spaces.Box(0, 5, (2,), np.int64), "is not supported"),
        (spaces.MultiBinary(3), "is not supported"),
        (spaces.Tuple((spaces.Discrete(9), spaces.Discrete(9))), "81 combinations of choices, at most 32"),
    ],
)
def test_actions_that_are_not_supported_are_named(space: spaces.Space[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ActionMap(space)
