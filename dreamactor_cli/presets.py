"""Load and merge render presets: preset < manifest row < command line.

The default of every option stands in `contracts.Preset`; a preset file names what differs. Values arrive as text from the
command line and typed from TOML; one table of parsers checks both.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from dreamactor_cli import nearest
from dreamactor_cli.contracts import BACKGROUNDS, REGIONS, Preset
from dreamactor_cli.errors import UsageError
from dreamactor_cli.resources import presets_dir

MAX_SIDE = 8192  # px
NTSC = {"23.976": "24000/1001", "23.98": "24000/1001", "29.97": "30000/1001", "59.94": "60000/1001", "119.88": "120000/1001"}


class _Wrong(ValueError):
    """A value that cannot be used: what is wrong, and the hint."""


def preset_names() -> list[str]:
    """Names of the render presets that ship with the package."""
    return sorted(path.stem for path in (presets_dir() / "render").glob("*.toml"))


def load_preset(name: str) -> Preset:
    """A preset by its name, or from a ``.toml`` file.

    Raises:
        UsageError: there is none of this name, or the file holds what cannot be used.
    """
    path, table = _read(name)
    table.pop("description", None)
    return merge(Preset(name=path.stem), table, source=f"preset {path.name}: ")


def preset_description(name: str) -> str:
    """What a preset is for, in one line."""
    return str(_read(name)[1].get("description", ""))


def preset_fields(preset: Preset) -> dict[str, object]:
    """The values of a preset by option, regions as the text that the command line takes."""
    return {**asdict(preset), "region": ",".join(preset.region)}


def merge(preset: Preset, overrides: Mapping[str, object], *, source: str = "") -> Preset:
    """The preset with every override that is not None.

    Choosing another renderer also takes what the preset of that renderer's name says, where this one says nothing of its own.

    Args:
        preset: what holds where nothing is given.
        overrides: values by the name of the field, as text or typed.
        source: prefix of error messages, where the values come from; empty is the command line.

    Raises:
        UsageError: an unknown name, or a value that cannot be used.
    """
    values: dict[str, Any] = {}
    renderer = overrides.get("renderer")
    if isinstance(renderer, str) and renderer not in (preset.renderer, preset.name) and renderer in _own_presets():
        own, plain = load_preset(renderer), Preset()
        values = {name: getattr(own, name) for name in _PARSERS if getattr(preset, name) == getattr(plain, name)}
    for name, given in overrides.items():
        label = f"{source}{name}" if source else f"--{name.replace('_', '-')}"
        if name not in _PARSERS:
            raise UsageError(f"{label} is not an option of a preset", nearest.hint(name, _PARSERS))
        if given is None:
            continue
        try:
            values[name] = _PARSERS[name](given)
        except _Wrong as wrong:
            raise UsageError(f"{label} {given!s:.80} {wrong.args[0]}", wrong.args[1]) from None
    return replace(preset, **values)


@lru_cache(maxsize=1)
def _own_presets() -> frozenset[str]:
    """Renderers that have a preset of their name."""
    from dreamactor_cli.renderers import RENDERERS

    return frozenset(RENDERERS) & frozenset(preset_names())


def _read(name: str) -> tuple[Path, dict[str, Any]]:
    path = presets_dir() / "render" / f"{name}.toml" if re.fullmatch(r"[\w-]+", name) else Path(name)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise UsageError(f"there is no preset {name!r}", nearest.hint(name, preset_names())) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the preset file {name} cannot be read: {error}", "mend it, or name another --preset") from None
    return path, table


def _choice(*known: str) -> Callable[[object], str]:
    def parse(given: object) -> str:
        text = str(given)
        if text not in known:
            raise _Wrong("is unknown", nearest.hint(text, known))
        return text

    return parse


def _number(low: float, high: float) -> Callable[[object], float]:
    def parse(given: object) -> float:
        try:
            value = float(str(given))
        except ValueError:
            raise _Wrong("is not a number", f"give one from {low:g} to {high:g}") from None
        if not low <= value <= high:
            raise _Wrong("is out of range", f"give a number from {low:g} to {high:g}")
        return value

    return parse


def _integer(low: int, high: int) -> Callable[[object], int]:
    def parse(given: object) -> int:
        text = str(given)
        if not re.fullmatch(r"[+-]?\d+", text) or not low <= int(text) <= high:
            raise _Wrong("is not a whole number in range", f"give one from {low} to {high}")
        return int(text)

    return parse


def _renderer(given: object) -> str:
    from dreamactor_cli.renderers import renderer_names

    return _choice(*renderer_names())(given)


def _size(given: object) -> str:
    text = str(given).lower()
    if text == "source":
        return text
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found:
        raise _Wrong("is not a size", "give WIDTHxHEIGHT like 512x512, or source")
    sides = [int(side) for side in found.groups()]
    if min(sides) < 16 or max(sides) > MAX_SIDE:
        raise _Wrong("is out of range", f"give sides from 16 to {MAX_SIDE} px")
    return f"{sides[0]}x{sides[1]}"


def _fps(given: object) -> str:
    text = str(given).lower()
    if text == "source":
        return text
    try:
        rate = Fraction(NTSC.get(text, text))
    except (ValueError, ZeroDivisionError):
        raise _Wrong("is not a frame rate", "give one like 25, 29.97 or 30000/1001, or source") from None
    if not 1 <= rate <= 240:
        raise _Wrong("is out of range", "give 1 to 240 frames a second")
    return str(rate)


def _region(given: object) -> tuple[str, ...]:
    names = [str(part).strip() for part in (given if isinstance(given, list | tuple) else str(given).split(","))]
    for name in names:
        if name not in REGIONS:
            raise _Wrong(f"names the unknown region {name!r}" if name else "names no region", nearest.hint(name, REGIONS))
    return ("all",) if "all" in names else tuple(name for name in REGIONS if name in names)


def _smoothing(given: object) -> int:
    if given is False or str(given).lower() == "off":
        return 0
    window = _integer(0, 101)(given)
    if window and window % 2 == 0:
        raise _Wrong("is even", f"give an odd number of frames like {window + 1}, or off")
    return window


def _background(given: object) -> str:
    text = str(given)
    if text in BACKGROUNDS:
        return text
    if text.startswith("#"):
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
            raise _Wrong("is not a colour", "give six hexadecimal digits like #00ff00")
        return text.lower()
    if not Path(text).is_file():
        raise _Wrong("is neither a picture file nor known", nearest.hint(text, (*BACKGROUNDS, "#rrggbb")))
    return text


def _encoder(given: object) -> str:
    text = str(given)
    if text != "mel" and not (text.startswith("whisper:") and len(text) > len("whisper:")):
        raise _Wrong("is unknown", "give mel, whisper:tiny, whisper:base or whisper:FOLDER")
    return text


def _flag(given: object) -> bool:
    text = str(given).lower()
    if text not in ("true", "false"):
        raise _Wrong("is neither true nor false", "give true or false")
    return text == "true"


_PARSERS: dict[str, Callable[[object], object]] = {
    "renderer": _renderer,
    "size": _size,
    "fps": _fps,
    "region": _region,
    "motion": _choice("relative", "absolute"),
    "anchor": _choice("first", "neutral"),
    "expression_scale": _number(0.0, 5.0),
    "smoothing": _smoothing,
    "bone_length": _choice("auto", "off"),
    "background": _background,
    "mouth": _choice("procedural", "driver"),
    "relight": _flag,
    "mouth_gain": _number(0.0, 3.0),
    "lead_ms": _number(-1000.0, 1000.0),
    "head_motion": _number(0.0, 1.0),
    "motion_ends": _choice("ping-pong", "loop", "hold", "cut"),
    "sound_ends": _choice("cut", "rest"),
    "speech_encoder": _encoder,
    "captions": _choice("off", "srt", "vtt", "burn"),
    "crf": _integer(0, 51),
    "weights": str,
    "steps": _integer(1, 1000),
    "guidance_reference": _number(0.0, 30.0),
    "guidance_motion": _number(0.0, 30.0),
    "segment_frames": _integer(1, 1000),
    "precision": _choice("auto", "float32", "bfloat16"),
    "step_cache": _choice("off", "first-block", "taylor", "mag"),
    "reference_views": _choice("given", "auto"),
    "quantize": _choice("off", "int8", "float8"),
    "compile": _flag,
    "context_parallel": _integer(1, 64),
    "conditioning_frames": lambda given: int(_choice("1", "5")(given)),
}
