"""Still pictures: whatever people have, as upright 8-bit sRGB."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8
from dreamactor_cli.errors import DreamActorError, OutOfMemory, UnreadableInput, UnsafeInput
from dreamactor_cli.media.files import require_file
from dreamactor_cli.media.probe import is_video

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_PIXELS = 100_000_000
_ORIENTATION = 0x0112  # EXIF tag
NEUTRAL = 128  # grey behind transparent parts: neither the hair nor the shirt of most people
# Without the formats that run programs (EPS) or that no camera or painter writes.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "TGA", "JPEG2000", "AVIF", "ICO", "HEIF")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedImage:
    """A picture, upright, in sRGB.

    Attributes:
        rgb: (H, W, 3), flattened over a neutral grey where it was transparent.
        alpha: (H, W), straight; None where the picture is opaque.
        warnings: what the user should know.
    """

    rgb: U8
    alpha: U8 | None
    warnings: tuple[str, ...] = ()


def load_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> LoadedImage:
    """Load a picture; its content counts, not its name.

    EXIF orientation is honoured, embedded ICC profiles and CMYK are brought to sRGB, 16 bits are scaled (not clipped), and
    of an animation the first picture is taken.

    Raises:
        UnreadableInput: not there, empty, cut off, or no picture.
        UnsafeInput: more than ``max_pixels``; nothing has been decoded then.
        OutOfMemory: it does not fit.
    """
    path = Path(path)
    require_file(path)
    with _mapped(path), _opened(path) as picture:
        _limit(path, picture, max_pixels)
        said = ["an animation: its first picture is used"] if getattr(picture, "n_frames", 1) > 1 else []
        picture.load()
        rgb, alpha = _straight(_upright(picture, said), said)
    if alpha is None:
        return LoadedImage(rgb=rgb, alpha=None, warnings=tuple(said))
    return LoadedImage(rgb=_flatten(rgb, alpha), alpha=alpha, warnings=tuple(said))


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in px of a picture, upright, from its header alone.

    Raises:
        UnreadableInput, UnsafeInput: as `load_image`, as far as a header can tell.
    """
    require_file(path)
    with _mapped(path), _opened(path) as picture:
        _limit(path, picture, MAX_PIXELS)
        width, height = picture.size
        return (height, width) if _lies(picture) else (width, height)


@contextmanager
def _opened(path: Path) -> Iterator[Picture]:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PIL's: we have our own limit, and damage that matters raises
        Image.init()
        with Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN]) as picture:
            yield picture


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    """Turn the many ways in which decoders fail into ours."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except (DreamActorError, KeyboardInterrupt):
        raise
    except MemoryError as error:
        raise OutOfMemory(f"{path} does not fit in memory", "scale it down") from error
    except Image.DecompressionBombError as error:
        raise UnsafeInput(f"{path} is too large a picture", "scale it down") from error
    except UnidentifiedImageError as error:
        what = "a video, not a picture" if is_video(path) else "not a picture that can be read"
        raise UnreadableInput(f"{path} is {what}", "give a JPEG, PNG, WebP or TIFF file") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error, ... on damaged data
        what = "cut off" if "truncated" in str(error) else f"damaged ({error})"
        raise UnreadableInput(f"{path} is {what}", "copy or download it again") from error


def _limit(path: Path, picture: Picture, max_pixels: int) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise UnsafeInput(f"{path} has {width}x{height} pixels", f"scale it below {max_pixels / 1e6:.3g} megapixels")


def _lies(picture: Picture) -> bool:
    """Whether EXIF asks for a quarter turn."""
    if picture.format == "PNG" and "exif" not in picture.info:
        return False  # unless it stands behind the pixels, all of which would have to be decoded
    try:
        return picture.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:  # noqa: BLE001 - as in `_upright`
        return False


def _upright(picture: Picture, said: list[str]) -> Picture:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # noqa: BLE001 - a broken EXIF block is no reason to refuse the picture
        said.append("its EXIF data are damaged: the orientation was not read")
        return picture.copy()


def _straight(picture: Picture, said: list[str]) -> tuple[U8, U8 | None]:
    """Colours in sRGB, (H, W, 3), and alpha (H, W) where it is not opaque."""
    alpha: U8 | None = None
    if picture.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in picture.info:
        picture = _with_info(picture.convert("RGBA" if _transparent(picture) else "RGB"), picture)
    if picture.mode == "RGBA":
        alpha = np.asarray(picture.getchannel("A"), np.uint8).copy()
        picture = _with_info(picture.convert("RGB"), picture)
    if picture.mode.startswith(("I", "F")):
        picture = _eight_bit(picture)
    rgb = np.asarray(_to_srgb(picture, said), np.uint8).copy()
    return rgb, None if alpha is None or alpha.min() == 255 else alpha


def _transparent(picture: Picture) -> bool:
    return picture.mode in ("PA", "LA", "La", "RGBa") or "transparency" in picture.info


def _with_info(picture: Picture, source: Picture) -> Picture:
    """Conversion drops the ICC profile of some modes."""
    if "icc_profile" in source.info:
        picture.info["icc_profile"] = source.info["icc_profile"]
    return picture


def _eight_bit(picture: Picture) -> Picture:
    """Grey of 16 or 32 bits, or float, scaled to 8 bits."""
    from PIL import Image

    values: NDArray[np.float64] = np.asarray(picture).astype(np.float64)
    top = float(np.nan_to_num(values).max(initial=0.0))
    if picture.mode.startswith("I;16"):
        white = 65535.0
    elif picture.mode == "F":
        white = 1.0 if top <= 1 else 255.0 if top <= 255 else 65535.0
    else:
        white = 255.0 if top <= 255 else 65535.0 if top <= 65535 else float(2**31 - 1)
    scaled = np.nan_to_num(values) * (255.0 / white)
    return _with_info(Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8)), picture)


def _to_srgb(picture: Picture, said: list[str]) -> Picture:
    """RGB through the embedded profile; without one (or with a broken one), as the mode converts."""
    from PIL import ImageCms

    if picture.mode not in ("L", "RGB", "CMYK", "LAB"):
        picture = _with_info(picture.convert("RGB"), picture)
    profile = picture.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(picture, source, target, outputMode="RGB") or picture.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            said.append("its colour profile is damaged: taken as sRGB")
    if picture.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB") or picture
    return picture.convert("RGB")


def _flatten(rgb: U8, alpha: U8) -> U8:
    """Over a neutral grey, (H, W, 3); in rows, so that huge pictures need no float copy of the whole."""
    flat = np.empty_like(rgb)
    for top in range(0, len(rgb), 256):
        rows = slice(top, top + 256)
        weight = alpha[rows, :, None].astype(np.float32) / 255
        flat[rows] = np.rint(rgb[rows] * weight + NEUTRAL * (1 - weight)).astype(np.uint8)
    return flat
