import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qtopt_policy.errors import ConfigError, ShapeError
from qtopt_policy.specs import ActionSpec, ContinuousDim, ObservationSpec, VectorField

X = ContinuousDim("x", "m", -1.0, 2.0)
Y = ContinuousDim("y", "rad", 0.0, 0.5)
MIXED = ActionSpec((X, Y), ("go", "stop", "turn"))


@given(st.floats(-1.0, 2.0, width=32), st.floats(0.0, 0.5, width=32), st.integers(0, 2))
def test_decode_inverts_encode_within_the_bounds(x: float, y: float, choice: int) -> None:
    values, decoded = MIXED.decode(MIXED.encode([x, y], choice))
    np.testing.assert_array_equal(values, np.array([x, y], dtype=np.float32))
    assert decoded == choice


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_encode_clips_to_the_bounds(x: float, y: float) -> None:
    values = MIXED.encode([x, y])[:2]
    assert (values >= MIXED.low).all()
    assert (values <= MIXED.high).all()


def test_decode_clips_to_the_bounds() -> None:
    values, _ = MIXED.decode([9.0, -9.0, 1.0, 0.0, 0.0])
    np.testing.assert_array_equal(values, [2.0, 0.0])


def test_size_counts_both_parts() -> None:
    assert MIXED.size == 5


def test_the_choice_is_one_hot() -> None:
    np.testing.assert_array_equal(MIXED.encode([0.0, 0.0], 1)[2:], [0.0, 1.0, 0.0])


def test_an_action_may_be_continuous_alone() -> None:
    spec = ActionSpec((X,))
    assert spec.size == 1
    assert spec.decode(spec.encode([0.5]))[1] == 0


def test_an_action_may_be_enumerated_alone() -> None:
    spec = ActionSpec((), ("left", "right"))
    values, choice = spec.decode(spec.encode([], 1))
    assert values.shape == (0,)
    assert choice == 1


@pytest.mark.parametrize("vector", [[0.0] * 4, [np.nan, 0.0, 1.0, 0.0, 0.0]])
def test_decode_refuses_a_wrong_vector(vector: list[float]) -> None:
    with pytest.raises(ShapeError, match="expected 5 finite values"):
        MIXED.decode(vector)


@pytest.mark.parametrize(
    ("values", "choice", "message"),
    [([0.0], 0, "2 finite values"), ([0.0, np.inf], 0, "2 finite values"), ([0.0, 0.0], 3, "0 to 2")],
)
def test_encode_refuses_wrong_values(values: list[float], choice: int, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        MIXED.encode(values, choice)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_bounds_must_be_an_interval(low: float, high: float) -> None:
    with pytest.raises(ConfigError, match="x: bounds"):
        ContinuousDim("x", "m", low, high)


@pytest.mark.parametrize(
    ("continuous", "choices", "message"),
    [
        ((), (), "needs a continuous or an enumerated part"),
        ((X, X), (), "not unique"),
        ((X,), ("x", "y"), "not unique"),
        ((X,), ("go",), "at least two choices"),
    ],
)
def test_an_impossible_spec_is_refused(
    continuous: tuple[ContinuousDim, ...], choices: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        ActionSpec(continuous, choices)


def test_a_still_choice_has_no_continuous_part() -> None:
    spec = ActionSpec((X, Y), ("go", "stop"), still=("stop",))
    np.testing.assert_array_equal(spec.encode([0.5, 0.5], 1), [0.0, 0.0, 0.0, 1.0])
    np.testing.assert_array_equal(spec.decode([0.5, 0.5, 0.0, 1.0])[0], [0.0, 0.0])
    np.testing.assert_array_equal(spec.is_still, [False, True])


def test_an_unknown_still_choice_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown still choice 'halt'"):
        ActionSpec((X,), ("go", "stop"), still=("halt",))


def test_a_still_choice_needs_zero_within_the_bounds() -> None:
    with pytest.raises(ConfigError, match="zero is outside"):
        ActionSpec((ContinuousDim("x", "m", 1.0, 2.0),), ("go", "stop"), still=("stop",))


def test_an_observation_counts_its_vectors() -> None:
    spec = ObservationSpec(None, (VectorField("q", 7, "rad"), VectorField("height", 1, "m")))
    assert spec.vector_size == 8


def test_an_observation_must_hold_something() -> None:
    with pytest.raises(ConfigError, match="image or a vector"):
        ObservationSpec(None)
