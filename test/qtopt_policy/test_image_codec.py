import numpy as np
import pytest

from qtopt_policy.errors import ImageError
from qtopt_policy.image_codec import Encoded, decode, encode, encode_observation
from support.lying_pictures import claiming


def noise(size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(size).integers(0, 256, (size, size + 3, 3), dtype=np.uint8)


def test_small_images_come_back_as_they_were() -> None:
    encoded = encode_observation(noise(125))
    assert encoded.format == "png"
    np.testing.assert_array_equal(decode(encoded), noise(125))


def test_large_images_are_jpeg_of_the_same_colours() -> None:
    image = np.zeros((200, 160, 3), dtype=np.uint8)
    image[..., 0] = 200
    encoded = encode_observation(image)
    assert encoded.format == "jpeg"
    assert abs(decode(encoded).astype(int) - image).max() <= 3


@pytest.mark.parametrize("data", [b"", b"not an image", encode_observation(noise(60)).data[:40]])
def test_bytes_that_are_no_image_are_refused_with_their_number(data: bytes) -> None:
    with pytest.raises(ImageError, match=str(len(data))):
        decode(Encoded("png", data))


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_header_that_claims_a_huge_image_is_refused(kind: str) -> None:
    data = claiming(40_000, encode(noise(60), kind).data)
    with pytest.raises(ImageError, match=rf"{kind} image of {len(data)} bytes cannot be decoded: "):
        decode(Encoded(kind, data))
