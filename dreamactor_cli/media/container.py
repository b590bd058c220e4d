"""Opening media files from outside with PyAV: local files only, known formats only, errors turned into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dreamactor_cli.errors import UnreadableInput
from dreamactor_cli.media.files import require_file, url_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Without playlists and device formats: those make FFmpeg open other files than the one it was given.
FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,ogg,asf,gif,apng,mxf,nut,ivf,h264,hevc,av1,obu,rm,dv,y4m,"
    "yuv4mpegpipe,wav,w64,mp3,aac,ac3,eac3,flac,aiff,caf,amr,opus,au,tta,wv,dts"
)


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """A media file, open for reading.

    Raises:
        UnreadableInput: not there, empty, cut off, or no media file.
    """
    import av

    require_file(path)
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    try:
        container = av.open(url_of(path), options=options, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise _unreadable(path) from error
    try:
        yield container
    finally:
        container.close()


def main_video(container: InputContainer) -> VideoStream | None:
    """The video stream, which the cover picture of a sound file is not."""
    import av

    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    best = container.streams.best("video")
    if best in streams:
        return best
    return streams[0] if streams else None


def _unreadable(path: Path) -> UnreadableInput:
    with open(path, "rb") as file:
        is_mp4 = file.read(12)[4:8] in (b"ftyp", b"mdat", b"moov", b"wide", b"free")
    if is_mp4:
        return UnreadableInput(f"{path} is cut off or damaged: the index of the MP4 is missing", "copy or download it again")
    return UnreadableInput(f"{path} is not a video or sound that FFmpeg can read", "convert it to MP4, or give another file")
