"""How each output format is encoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from dreamactor_cli.errors import UsageError

VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".gif")
GIF_TOP_RATE = Fraction(50)  # GIF counts hundredths of a second, and browsers slow down what is shorter than two

# Players guess the matrix of a video without tags, so it always carries them.
_COLOUR = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "color_range": "tv"}
# The same input gives the same bytes: no encoder version, no date, and a number of threads that no machine changes.
_STEADY = {"fflags": "+bitexact", "flags:v": "+bitexact", "map_metadata": "-1", "threads": 2}
# A quarter faster than the preset "veryfast" at the same PSNR, and a third of the size of "superfast" by itself.
_FAST_AND_SMALL = "mbtree=1:rc-lookahead=10"

# Without MP3, whose encoder's delay the container cannot carry: the sound would come 20 ms late.
_COPIES_TO_MP4 = frozenset({"aac", "alac"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """An output format.

    Attributes:
        suffix: of the file, with its dot.
        encoder: of the pictures, FFmpeg's name.
        options: of the output, as FFmpeg spells them.
        even: width and height must be even.
        sound: the encoder of the sound, empty if the format is silent.
        copies: sound codecs that can be carried over as they are.
        container: options of the container.
    """

    suffix: str
    encoder: str
    options: Mapping[str, object]
    even: bool = False
    sound: str = ""
    copies: frozenset[str] = frozenset()
    container: Mapping[str, object] = field(default_factory=dict)


def format_of(suffix: str, crf: int, alpha: bool) -> Format:
    """The format for a suffix.

    Args:
        suffix: of `VIDEO_SUFFIXES`.
        crf: 0 (lossless but for the rounding of RGB to YCbCr, with full chroma) to 51, on x264's scale.
        alpha: with transparency.

    Raises:
        UsageError: unknown suffix, transparency in MP4, or crf out of range.
    """
    if not 0 <= crf <= 51:
        raise UsageError(f"crf {crf} is out of range", "give 0 (lossless) to 51")
    if suffix == ".mp4" and alpha:
        raise UsageError("MP4 cannot carry transparency", "write .mov, .webm, .gif or a PNG sequence, or choose a background")
    if suffix in (".mp4", ".mov"):
        return _prores() if alpha else _h264(suffix, crf)
    if suffix == ".webm":
        return _vp9(crf, alpha)
    if suffix == ".gif":
        # Frames wait without loss until the palette of the whole clip is known.
        raw = {"c:v": "ffv1", "pix_fmt": "gbrap" if alpha else "gbrp", **_STEADY}
        return Format(suffix=suffix, encoder="ffv1", options=raw)
    known = ", ".join(VIDEO_SUFFIXES)
    raise UsageError(f"unknown output format {suffix!r}", f"end the name in {known}, or name a folder for PNG files")


def _h264(suffix: str, crf: int) -> Format:
    options = {
        "c:v": "libx264", "preset": "superfast", "x264-params": _FAST_AND_SMALL, "crf": crf,
        "pix_fmt": "yuv420p" if crf else "yuv444p", **_COLOUR, **_STEADY,
    }  # fmt: skip
    return Format(
        suffix=suffix,
        encoder="libx264",
        options=options,
        even=crf > 0,
        sound="aac",
        copies=_COPIES_TO_MP4,
        container={"movflags": "+faststart"},
    )


def _prores() -> Format:
    options = {
        "c:v": "prores_ks", "profile:v": "4444", "pix_fmt": "yuva444p10le", "alpha_bits": 16, "vendor": "apl0",
        **_COLOUR, **_STEADY,
    }  # fmt: skip
    return Format(
        suffix=".mov",
        encoder="prores_ks",
        options=options,
        sound="aac",
        copies=_COPIES_TO_MP4,
        container={"movflags": "+faststart"},
    )


def _vp9(crf: int, alpha: bool) -> Format:
    options: dict[str, object] = {"c:v": "libvpx-vp9", "deadline": "realtime", "cpu-used": 6, "b:v": 0, **_COLOUR, **_STEADY}
    options |= {"crf": min(63, round(crf * 1.35))} if crf else {"lossless": 1}  # VP9 counts from 0 to 63
    options["pix_fmt"] = "yuva420p" if alpha else "yuv420p" if crf else "yuv444p"
    if alpha:
        options["auto-alt-ref"] = 0  # libvpx refuses transparency with it
    return Format(
        suffix=".webm",
        encoder="libvpx-vp9",
        options=options,
        even=alpha or crf > 0,
        sound="libopus",
        copies=frozenset({"opus", "vorbis"}),
    )
