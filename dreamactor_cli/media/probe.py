"""What is in a video file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.errors import DreamActorError, NoStream, UnreadableInput, UnsafeInput
from dreamactor_cli.media.container import main_video, opened
from dreamactor_cli.media.timeline import Timeline, timeline_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MAX_PIXELS = 100_000_000
_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """The video stream of a file, on a timeline of constant rate.

    Attributes:
        width, height: upright, after `rotation` is applied, px.
        fps: frames a second.
        num_frames: on the timeline; frame k shows the last picture whose time is <= k / fps.
        duration: ``num_frames / fps``, seconds.
        rotation: clockwise degrees, of 0, 90, 180, 270, that bring the stored picture upright.
        variable_rate: the stored pictures are not evenly spaced.
        audio_codec: of the first audio stream, None without one.
        warnings: what the user should know.
    """

    path: Path
    width: int
    height: int
    fps: Fraction
    num_frames: int
    duration: Fraction
    rotation: int
    variable_rate: bool
    codec: str
    pixel_format: str
    audio_codec: str | None
    warnings: tuple[str, ...] = ()


def probe(path: Path) -> VideoInfo:
    """Look into a video: all its packets are counted and its first picture is decoded.

    Raises:
        UnreadableInput: not there, empty, cut off, no media file, or no picture in it can be decoded.
        NoStream: sound only.
        UnsafeInput: pictures larger than `MAX_PIXELS`.
    """
    path = Path(path)
    with opened(path) as container:
        stream = main_video(container)
        if stream is None:
            raise NoStream(f"{path} has no video", "give a file with moving pictures")
        if stream.width * stream.height > MAX_PIXELS:
            raise UnsafeInput(f"{path} has pictures of {stream.width}x{stream.height}", "scale it down first")
        timeline = timeline_of(path)
        frame = first_picture(container, stream)
        if frame is None:
            raise UnreadableInput(f"no picture in {path} can be decoded", "it is damaged: copy or download it again")
        matrix = orientation(frame)
        audio = container.streams.audio[0].codec_context.codec.canonical_name if container.streams.audio else None
        swapped = matrix[0, 0] == 0
        return VideoInfo(
            path=path,
            width=frame.height if swapped else frame.width,
            height=frame.width if swapped else frame.height,
            fps=timeline.fps,
            num_frames=len(timeline.pictures),
            duration=len(timeline.pictures) / timeline.fps,
            rotation=rotation_of(matrix),
            variable_rate=timeline.variable,
            codec=stream.codec_context.codec.canonical_name,
            pixel_format=frame.format.name,
            audio_codec=audio,
            warnings=tuple(_warnings(timeline, frame, matrix, stream)),
        )


def is_video(path: Path) -> bool:
    """Whether a file has moving pictures, by its content; False for what cannot be read."""
    try:
        with opened(Path(path)) as container:
            return main_video(container) is not None
    except DreamActorError:
        return False


def first_picture(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    """The first picture that decodes without damage, None if there is none."""
    import av

    stream.thread_type = "NONE"
    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if not frame.is_corrupt:
                    return frame
    except av.error.FFmpegError:
        return None
    return None


def orientation(frame: VideoFrame) -> NDArray[np.int64]:
    """The display matrix, rounded to quarter turns and mirrors, (2, 2): displayed (x, y) = stored (x, y) @ matrix."""
    item = frame.side_data.get("DISPLAYMATRIX")
    if item is not None:
        raw = np.frombuffer(memoryview(cast("SideData", item)), np.int32).reshape(3, 3)[:2, :2].astype(np.int64)
        signs = np.sign(np.where(np.abs(raw) * 2 > np.abs(raw).max(), raw, 0))
        if np.abs(signs).sum() == 2 and abs(round(np.linalg.det(signs))) == 1:
            return signs
    return np.eye(2, dtype=np.int64)


def rotation_of(matrix: NDArray[np.int64]) -> int:
    """Clockwise degrees of an orientation, mirrors aside."""
    return round(np.degrees(np.arctan2(matrix[0, 1], matrix[0, 0]))) % 360


def _warnings(timeline: Timeline, frame: VideoFrame, matrix: NDArray[np.int64], stream: VideoStream) -> list[str]:
    said: list[str] = []
    if timeline.variable:
        low, high = timeline.spread
        rate = float(timeline.fps)
        said.append(f"variable frame rate: pictures {low * 1000:.0f} to {high * 1000:.0f} ms apart, shown at {rate:.5g} fps")
    turn = rotation_of(matrix)
    if turn:
        said.append(f"rotation {turn} honoured: the file asks to be turned {turn} degrees clockwise")
    if round(np.linalg.det(matrix)) < 0:
        said.append("mirrored as the file asks")
    if timeline.missing > len(timeline.pictures) // 100:
        said.append(f"the file ends early: {timeline.missing} of its pictures are missing")
    transfer = int(frame.color_trc or 0)
    if transfer in _HDR:
        said.append(f"high dynamic range ({_HDR[transfer]}): shown without tone mapping, colours look pale")
    ratio = stream.sample_aspect_ratio
    if ratio and ratio > 0 and ratio != 1:
        said.append(f"pixels are not square ({ratio.numerator}:{ratio.denominator}): shown as stored")
    return said
