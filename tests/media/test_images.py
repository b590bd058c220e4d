import io
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from dreamactor_cli.errors import UnreadableInput, UnsafeInput
from dreamactor_cli.media import image_size, load_image

SIZE = (64, 48)


@pytest.fixture(scope="module")
def photo(astronaut_rgb) -> Image.Image:
    return Image.fromarray(astronaut_rgb).resize(SIZE)


def close(first, second, mean: float) -> bool:
    return np.abs(first.astype(float) - np.asarray(second, float)).mean() < mean


FORMATS = {
    "png": {},
    "jpg": {"quality": 95},
    "webp": {"lossless": True},
    "bmp": {},
    "tiff": {},
    "ppm": {},
    "avif": {"quality": 95},
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_formats_are_read_by_content(photo, tmp_path, suffix) -> None:
    true, disguised = tmp_path / f"a.{suffix}", tmp_path / "b.png"
    photo.save(true, **FORMATS[suffix])
    disguised.write_bytes(true.read_bytes())
    image = load_image(disguised)
    assert image.rgb.shape == (48, 64, 3)
    assert image.rgb.dtype == np.uint8
    assert image.alpha is None
    assert image.warnings == ()
    assert close(image.rgb, photo, 6 if suffix in ("jpg", "avif") else 0.01)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(photo, tmp_path, orientation) -> None:
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # PIL's operation that undoes the one of the viewer
    stored = photo if orientation == 1 else photo.transpose(Image.Transpose(turn[orientation]))
    exif = Image.Exif()
    exif[0x112] = orientation
    path = tmp_path / "a.png"
    stored.save(path, exif=exif)
    np.testing.assert_array_equal(load_image(path).rgb, np.asarray(photo))
    assert image_size(path) == SIZE


def test_damaged_exif_is_no_reason_to_refuse(photo, tmp_path) -> None:
    path = tmp_path / "a.jpg"
    photo.save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert image_size(path) == SIZE
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of PIL's, which are no message for a user
        assert load_image(path).rgb.shape == (48, 64, 3)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "YCbCr"])
def test_grey_and_palette_become_rgb(photo, tmp_path, mode) -> None:
    path = tmp_path / ("a.tiff" if mode == "YCbCr" else "a.png")
    stored = photo.convert(mode)
    stored.save(path)
    assert close(load_image(path).rgb, stored.convert("RGB"), 2)


def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path) -> None:
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    for name in ("a.png", "a.tiff"):
        Image.fromarray(ramp).save(tmp_path / name)
        rgb = load_image(tmp_path / name).rgb
        np.testing.assert_allclose(rgb[..., 1], ramp / 257, atol=0.51)


def test_16_bit_rgb(tmp_path) -> None:
    import cv2

    ramp = np.linspace(0, 65535, 64 * 48 * 3).reshape(48, 64, 3).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), ramp[..., ::-1])
    np.testing.assert_allclose(load_image(tmp_path / "a.png").rgb, ramp / 257, atol=1)


def test_float_grey_is_scaled(tmp_path) -> None:
    ramp = np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64)
    Image.fromarray(ramp).save(tmp_path / "a.tiff")
    np.testing.assert_allclose(load_image(tmp_path / "a.tiff").rgb[..., 0], ramp * 255, atol=0.51)


def test_cmyk_has_the_colours_it_shows(photo, tmp_path) -> None:
    path = tmp_path / "a.jpg"
    photo.convert("CMYK").save(path, quality=95)  # PIL writes it inverted with an Adobe marker, as Photoshop does
    assert close(load_image(path).rgb, photo, 6)


def test_an_icc_profile_is_brought_to_srgb(photo, tmp_path) -> None:
    """A profile whose red and blue are swapped must give red and blue swapped back."""
    path = tmp_path / "a.png"
    swapped = swapped_profile()
    Image.fromarray(np.asarray(photo)[..., ::-1]).save(path, icc_profile=swapped)
    assert close(load_image(path).rgb, photo, 3)


def swapped_profile() -> bytes:
    """An sRGB profile whose red and blue colorants have changed places."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for k in range(int.from_bytes(data[128:132], "big")):
        at = 132 + 12 * k
        name = bytes(data[at : at + 4])
        data[at : at + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(name, name)
    return bytes(data)


def test_a_broken_icc_profile_is_told(photo, tmp_path) -> None:
    path = tmp_path / "a.png"
    photo.save(path, icc_profile=b"not a profile")
    image = load_image(path)
    assert close(image.rgb, photo, 0.01)
    assert any("profile" in line for line in image.warnings)


def test_alpha_is_flattened_over_grey_and_given(photo, tmp_path) -> None:
    path = tmp_path / "a.png"
    alpha = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    stored = photo.copy()
    stored.putalpha(Image.fromarray(alpha))
    stored.save(path)
    image = load_image(path)
    assert image.alpha is not None
    np.testing.assert_array_equal(image.alpha, alpha)
    weight = alpha[..., None] / 255
    np.testing.assert_allclose(image.rgb, np.asarray(photo) * weight + 128 * (1 - weight), atol=0.51)


def test_opaque_alpha_is_none(photo, tmp_path) -> None:
    photo.convert("RGBA").save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").alpha is None


def test_palette_transparency_is_alpha(tmp_path) -> None:
    stored = Image.new("P", SIZE, 0)
    stored.putpalette([10, 20, 30, 200, 100, 50])
    stored.paste(1, (32, 0, 64, 48))
    stored.save(tmp_path / "a.png", transparency=0)
    image = load_image(tmp_path / "a.png")
    assert image.alpha is not None
    assert image.alpha[0, 0] == 0
    assert image.rgb[0, 0].tolist() == [128, 128, 128]
    assert image.rgb[0, 63].tolist() == [200, 100, 50]


def test_the_first_picture_of_an_animation_is_taken_and_said(photo, tmp_path) -> None:
    path = tmp_path / "a.gif"
    photo.save(path, save_all=True, append_images=[Image.new("RGB", SIZE, "red")] * 2)
    image = load_image(path)
    assert close(image.rgb, photo, 12)
    assert any("animation" in line for line in image.warnings)


def test_what_is_cut_off_is_refused(photo, tmp_path) -> None:
    for name in ("a.jpg", "a.png"):
        photo.save(tmp_path / name)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        with pytest.raises(UnreadableInput, match=f"{name[0]}.*(cut off|damaged)"):
            load_image(tmp_path / name)


@pytest.mark.parametrize(
    "content", [b"", b"hello " * 100, b"\x89PNG\r\n\x1a\n" + bytes(40), b"%!PS-Adobe-3.0 EPSF-3.0\nshowpage\n"]
)
def test_what_is_no_picture_is_refused(tmp_path, content) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableInput, match=r"a\.png"):
        load_image(path)


def test_a_video_is_named_as_such(face_clip) -> None:
    with pytest.raises(UnreadableInput, match="a video, not a picture"):
        load_image(face_clip.path)


def test_too_many_pixels_are_refused_before_decoding(tmp_path) -> None:
    """A header that promises 60000x60000 px, with no data behind it."""
    header = b"IHDR" + (60000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    chunk = len(header[4:]).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IEND\xaeB`\x82")
    for look in (load_image, image_size):
        with pytest.raises(UnsafeInput, match=r"bomb\.png"):
            look(path)


def test_the_limit_is_the_callers(photo, tmp_path) -> None:
    photo.save(tmp_path / "a.png")
    with pytest.raises(UnsafeInput, match="64x48"):
        load_image(tmp_path / "a.png", max_pixels=64 * 48 - 1)
    assert load_image(tmp_path / "a.png", max_pixels=64 * 48).rgb.shape == (48, 64, 3)


def test_arrays_are_the_callers_own(photo, tmp_path) -> None:
    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    image = load_image(tmp_path / "a.png")
    image.rgb[:] = 0
    assert image.rgb.flags.owndata or image.rgb.flags.writeable
