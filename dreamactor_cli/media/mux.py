"""Sound for a video that is being written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from dreamactor_cli.errors import NoStream
from dreamactor_cli.media.codecs import Format
from dreamactor_cli.media.container import main_video, opened
from dreamactor_cli.media.ffmpeg import program_for, run
from dreamactor_cli.media.files import url_of
from dreamactor_cli.media.timeline import timeline_of

LOCAL = {"protocol_whitelist": "file,pipe"}
_NEAR = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class AudioSource:
    """Where the sound comes from.

    Attributes:
        path: a video or a sound file.
        start: on the timeline of the file's video (of its sound if it has no video), seconds.
        duration: seconds; None is to the end.
    """

    path: Path
    start: Fraction = Fraction(0)
    duration: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """The first sound stream of a file.

    Attributes:
        codec: FFmpeg's name.
        channels: how many.
        packet: length of a packet, seconds.
        begin: of the sound, on the file's own clock, seconds.
        zero: of the timeline (see `AudioSource.start`), on the file's own clock, seconds.
        end: of the sound as the container has it, on the file's own clock, seconds; None if it does not say.
    """

    codec: str
    channels: int
    packet: Fraction
    begin: Fraction
    zero: Fraction
    end: Fraction | None


def sound_of(path: Path) -> Sound:
    """Look at the sound of a file.

    Raises:
        UnreadableInput: no media file.
        NoStream: it has no sound.
    """
    with opened(path) as container:
        if not container.streams.audio:
            raise NoStream(f"{path} has no sound", "give a file with a sound track, or go without")
        stream = container.streams.audio[0]
        context = stream.codec_context
        begin = Fraction(stream.start_time or 0) * (stream.time_base or 1)
        rate = context.sample_rate or 48000
        packet = Fraction(context.frame_size or 1024, rate)
        zero = timeline_of(path).start if main_video(container) is not None else begin
        end = begin + stream.duration * stream.time_base if stream.duration and stream.time_base else None
        name = context.codec.canonical_name
        return Sound(codec=name, channels=context.channels, packet=packet, begin=begin, zero=zero, end=end)


def mux(video: Path, audio: AudioSource, output: Path, *, form: Format, duration: Fraction, metadata: Mapping[str, str]) -> None:
    """Join finished pictures with sound that ends no later than they do.

    The sound is copied as it is where it starts with the pictures and the container takes its codec; otherwise it is cut to
    the sample and encoded.

    Args:
        video: the pictures, already encoded.
        output: the file to write.
        duration: of the pictures, seconds.
    """
    import ffmpeg

    sound = sound_of(audio.path)
    length = duration if audio.duration is None else min(duration, audio.duration)
    pictures = ffmpeg.input(url_of(video), **LOCAL)["v:0"]
    options = {"c:v": "copy", "fflags": "+bitexact", "map_metadata": "-1", **form.container, **tags(metadata)}
    copied = audio.start == 0 and sound.codec in form.copies and sound.begin >= sound.zero - _NEAR
    if copied:
        # Packets are kept whole, so the last one that is let in must end before the pictures do.
        stream = ffmpeg.input(url_of(audio.path), t=_seconds(max(length - sound.packet, Fraction(0))), **LOCAL)["a:0"]
        options["c:a"] = "copy"
    else:
        stream = _cut(audio, sound, length)
        options |= {"c:a": form.sound, "b:a": "192k" if form.sound == "aac" else "128k", "flags:a": "+bitexact"}
    program = program_for(*() if copied else (form.sound,))
    run(program, ffmpeg.output(pictures, stream, url_of(output), **options), output)


def _cut(audio: AudioSource, sound: Sound, length: Fraction) -> Any:
    """The sound of the window, cut to the sample; silence fills what the file lacks at its beginning."""
    import ffmpeg

    begin = sound.zero + audio.start
    # The file's own clock (copyts), because FFmpeg would shift it by its earliest stream, which need not be the pictures.
    stream = ffmpeg.input(url_of(audio.path), copyts=None, **LOCAL)["a:0"]
    stream = stream.filter("atrim", start=_seconds(begin), end=_seconds(begin + length))
    stream = stream.filter("asetpts", f"PTS-({_seconds(begin)})/TB").filter("aresample", **{"async": 1, "first_pts": 0})
    if sound.channels > 2:
        stream = stream.filter("aformat", channel_layouts="stereo")
    return stream


def tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Options that write a mapping into the container; numbered, because ffmpeg-python takes each option once."""
    return {f"metadata:g:{number}": f"{key}={value}" for number, (key, value) in enumerate(metadata.items())}


def _seconds(value: Fraction) -> str:
    return f"{float(value):.9f}"
