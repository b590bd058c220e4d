"""Frames of a video, exact to the frame and to the colour.

Why PyAV and not decord, which ``bench/media.py`` measures beside it: on intact clips both give the same number of frames and
the same bytes, honour rotation and seek exactly. But where a stream is damaged decord hands out smeared pictures without a
word, or raises, and when it raises depends on its threads (seen: after 124, 125 or 126 frames of one file), so that the same
input would not always give the same frames. It also takes half as much processor time again, and it would decode files
from outside with the FFmpeg of 2018.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.contracts import U8
from dreamactor_cli.errors import UnreadableInput
from dreamactor_cli.media.container import main_video, opened
from dreamactor_cli.media.probe import VideoInfo, orientation, probe
from dreamactor_cli.media.timeline import Timeline, timeline_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.filter import Graph
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

ACCURATE = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"  # FFmpeg's default loses two grey levels a round trip
FAST = "bilinear"
MAX_KEYFRAMES_BACK = 8


def read_frames(
    path: Path, start: int = 0, stop: int | None = None, *, info: VideoInfo | None = None, accurate: bool = True
) -> FrameReader:
    """Frames start..stop-1 of a video's timeline, upright, RGB.

    Frame k has the same bytes whatever the start. A stretch that is damaged repeats the last good frame;
    `FrameReader.repeated` counts them.

    Args:
        path: a video.
        start: first frame.
        stop: one past the last frame; None is to the end.
        info: of an earlier `probe`, to save another.
        accurate: True converts colours without loss of grey levels and with chroma interpolated; False takes the fast way,
            which costs a third and is about one level darker: good enough for trackers.

    Returns:
        An iterator of (H, W, 3).

    Raises:
        UnreadableInput: nothing in it can be decoded.
        NoStream: sound only.
    """
    return FrameReader(Path(path), start, stop, info or probe(path), accurate)


class FrameReader(Iterator[U8]):
    """Iterator over frames, (H, W, 3) each; also a context manager that closes the file early.

    Attributes:
        repeated: frames so far that show an earlier picture because their own is damaged.
    """

    def __init__(self, path: Path, start: int, stop: int | None, info: VideoInfo, accurate: bool) -> None:
        self.repeated = 0
        self._path = path
        self._timeline = timeline_of(path)
        end = info.num_frames if stop is None else min(stop, info.num_frames)
        self._wanted = self._timeline.pictures[max(start, 0) : max(end, 0)]
        self._convert = Converter(info, accurate)
        self._frames: Generator[U8, None, None] = self._read()

    def __next__(self) -> U8:
        return next(self._frames)

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._frames.close()

    def _read(self) -> Generator[U8, None, None]:  # a generator, so that leaving it closes the file
        if not len(self._wanted):
            return
        with ExitStack() as stack:
            pictures, shown = self._position(stack, int(self._wanted[0]))
            for stamp in self._wanted.tolist():
                shown = pictures.up_to(stamp) or shown
                if shown[0] != stamp:
                    self.repeated += 1
                yield self._convert(shown[1])  # again for a repeated frame: the array before is the caller's now

    def _position(self, stack: ExitStack, stamp: int) -> tuple[Pictures, tuple[int, VideoFrame]]:
        """Start decoding so that the last good picture at or before ``stamp`` is known.

        Goes back over damaged groups of pictures; where nothing before is good, the first good one stands in.
        """
        before = self._timeline.keyframes[self._timeline.keyframes <= stamp]
        starts: list[int | None] = [] if self._timeline.ordinal else before[::-1][:MAX_KEYFRAMES_BACK].tolist()
        for key in (*starts, None):
            stack.close()
            pictures = Pictures(stack.enter_context(opened(self._path)), self._timeline, key)
            shown = pictures.up_to(stamp) or (pictures.first() if key is None else None)
            if shown is not None:
                return pictures, shown
        raise UnreadableInput(f"no picture in {self._path} can be decoded", "it is damaged: copy or download it again")


class Pictures:
    """The pictures of a video in the order of time, from a keyframe on.

    Args:
        container: freshly opened.
        key: time stamp of a keyframe; None is the beginning of the file.
    """

    def __init__(self, container: InputContainer, timeline: Timeline, key: int | None) -> None:
        stream = main_video(container)
        assert stream is not None
        stream.thread_type = "NONE"  # the callers run one process a core
        if key is not None:
            _seek(container, stream, key)
        self._source = self._decode(container, stream, timeline.ordinal, key)
        self._ahead: tuple[int, VideoFrame] | None = None

    def up_to(self, stamp: int) -> tuple[int, VideoFrame] | None:
        """Decode up to ``stamp``; the last good picture on the way, None if there was none."""
        good: tuple[int, VideoFrame] | None = None
        while True:
            picture = self._ahead or next(self._source, None)
            self._ahead = None
            if picture is None:
                return good
            if picture[0] > stamp:
                self._ahead = picture
                return good
            if not picture[1].is_corrupt:
                good = picture
            if picture[0] == stamp:
                return good

    def first(self) -> tuple[int, VideoFrame] | None:
        """The next good picture; it stays where it is."""
        while True:
            picture = self._ahead or next(self._source, None)
            if picture is None or not picture[1].is_corrupt:
                self._ahead = picture
                return picture
            self._ahead = None

    @staticmethod
    def _decode(
        container: InputContainer, stream: VideoStream, ordinal: bool, key: int | None
    ) -> Iterator[tuple[int, VideoFrame]]:
        import av

        count = 0
        try:
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:
                    continue
                for frame in frames:
                    stamp = count if ordinal else frame.pts
                    count += 1
                    if stamp is None or (key is not None and stamp < key):
                        continue  # before a keyframe lie pictures that need what came before it
                    yield stamp, frame
        except av.error.FFmpegError:
            return


def _seek(container: InputContainer, stream: VideoStream, stamp: int) -> None:
    import av

    with suppress(av.error.FFmpegError):  # a bare stream cannot seek: it is read from its beginning, where it still stands
        container.seek(stamp, stream=stream)


class Converter:
    """Turns decoded pictures into upright RGB arrays with FFmpeg's scaler.

    Matrix, range and chroma position are taken as tagged; an untagged picture is BT.601 of limited range, as FFmpeg has it.
    A filter graph, because PyAV's own reformatter ignores the chroma position (1.4 dB on a photograph).
    """

    def __init__(self, info: VideoInfo, accurate: bool) -> None:
        swapped = info.rotation in (90, 270)
        self._size = (info.height, info.width) if swapped else (info.width, info.height)
        self._flags = ACCURATE if accurate else FAST
        self._layout: tuple[object, ...] = ()
        self._graph: Graph | None = None
        self._matrix: NDArray[np.int64] | None = None

    def __call__(self, frame: VideoFrame) -> U8:
        """(H, W, 3), a fresh array."""
        if self._matrix is None:
            self._matrix = orientation(frame)
        layout = (frame.width, frame.height, frame.format.name, int(frame.colorspace), int(frame.color_range))
        if self._graph is None or layout != self._layout:  # a stream may change its size on the way
            self._graph, self._layout = self._build(layout), layout
        self._graph.push(frame)
        rgb = cast("VideoFrame", self._graph.pull()).to_ndarray()
        return turn(cast("U8", rgb), self._matrix)

    def _build(self, layout: tuple[object, ...]) -> Graph:
        from av.filter import Graph

        width, height, pixel_format, matrix, value_range = layout
        graph = Graph()
        graph.threads = 1
        source = graph.add(
            "buffer",
            f"video_size={width}x{height}:pix_fmt={pixel_format}:time_base=1/1000:pixel_aspect=1/1"
            f":colorspace={matrix}:range={value_range}",
        )
        scale = graph.add("scale", f"{self._size[0]}:{self._size[1]}:flags={self._flags}")
        graph.link_nodes(source, scale, graph.add("format", "rgb24"), graph.add("buffersink"))
        graph.configure()
        return graph


def turn(picture: U8, matrix: NDArray[np.int64]) -> U8:
    """Apply an orientation (see `probe.orientation`) to a picture, (H, W, C)."""
    if matrix[0, 0] == 0:
        picture = picture.transpose(1, 0, 2)
    across, down = matrix.sum(0)
    return np.ascontiguousarray(picture[:: int(down), :: int(across)])
