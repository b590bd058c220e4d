"""Control signals on disk: one signal a file in the cache, all of them in one portable file.

Both are safetensors of the same form. Arrays are named ``KIND.FIELD`` (``face.landmarks``); shapes, types and units are
those of `contracts`, the matte's those of `matte_file`. Metadata, all strings: ``format`` "dreamactor-controls",
``format_version`` "1", ``num_frames``, ``fps`` "NUM/DEN", ``width`` and ``height`` in px, ``space``, ``source_sha256``
(hex or empty), ``extractor_versions`` (a JSON object), and in a portable file ``data_sha256``, the sha256 of the arrays' bytes.
A part of a signal, on its way into the cache, has no metadata.

Nothing in a file is trusted: see `tensor_file`; shapes and types are checked when a file is opened, values when they are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from .atomic import replacing
from .contracts import U8, Appearance, Body, Controls, ControlStream, Face, Hands, Head, Signal, Space, Speech
from .errors import InputRefused, UnreadableInput, UsageError
from .matte_file import MatteReader, encode_mattes
from .tensor_file import CHECKSUM, Array, Layout, TensorFile, TensorWriter

FORMAT = "dreamactor-controls"
FORMAT_VERSION = "1"
SIGNALS: Mapping[str, type[Signal]] = {
    "face": Face, "head": Head, "body": Body, "hands": Hands, "appearance": Appearance, "speech": Speech,
}  # fmt: skip
MATTE = "matte"

MAX_VALUE = 1e7  # px, metres, radians: whatever it is, more than this is damage
_WINDOW = 256  # frames that are copied at a time
_HINT = "make it again with: dreamactor extract SOURCE -o FILE"


class _Clip(NamedTuple):
    """What the metadata of a file say."""

    num_frames: int
    fps: Fraction
    width: int
    height: int
    space: Space
    source_sha256: str
    extractor_versions: Mapping[str, str]


def stream_metadata(
    *,
    fps: Fraction,
    width: int,
    height: int,
    space: Space = "driving",
    source_sha256: str = "",
    extractor_versions: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The metadata that `write_signal` needs for a finished signal; see `contracts.Controls`."""
    return {
        "fps": f"{fps.numerator}/{fps.denominator}", "width": str(width), "height": str(height), "space": space,
        "source_sha256": source_sha256, "extractor_versions": json.dumps(dict(extractor_versions or {}), sort_keys=True),
    }  # fmt: skip


def write_signal(path: Path, kind: str, source: Sequence[Path] | Signal | U8, metadata: Mapping[str, str] | None = None) -> None:
    """Write one signal, or a part of one.

    Args:
        path: is written in place: give it the file of `Cache.put`, or one in `Cache.scratch`.
        kind: ``face``, ``head``, ``body``, ``hands``, ``appearance`` or ``matte``.
        source: the signal; for ``matte`` masks u8 (T, h, w); or files of consecutive parts, made by this function, which
            are copied block by block. Fields without a T (`Face.identity`) must be equal in all parts.
        metadata: of `stream_metadata`; for a part none.

    Raises:
        ValueError: the signal is not of that kind, parts do not fit together, or a value is not finite.
    """
    if isinstance(source, np.ndarray | Signal):
        arrays = _arrays_of(kind, source)
        layout: Layout = {name: (array.dtype, array.shape) for name, array in arrays.items()}
        with TensorWriter(path, layout, _complete(metadata, _frames_of(kind, layout))) as writer:
            for name, array in arrays.items():
                writer.put(name, array)
    elif kind == MATTE:
        _join_mattes(path, source, metadata)
    else:
        _join_parts(path, kind, source, metadata)


def write_controls(path: Path, stream: ControlStream) -> None:
    """Write all signals of a clip to one portable file, window by window; it appears when it is complete.

    Raises:
        UsageError: the place cannot be written.
        DiskFull: no space left.
    """
    first = stream.window(0, min(1, stream.num_frames))
    frames = stream.num_frames
    layout: dict[str, tuple[np.dtype[np.generic], tuple[int, ...]]] = {}
    for kind, signal in first.signals().items():
        for field, array in signal.arrays().items():
            timed = signal.SHAPES[field][0] == "T"
            layout[f"{kind}.{field}"] = (array.dtype, (frames, *array.shape[1:]) if timed else array.shape)
    matte = stream.matte_arrays() if isinstance(stream, StoredControls) else None
    if matte is not None:
        layout |= {name: (matte.entries[name].dtype, matte.entries[name].shape) for name in _matte_names()}
    if not layout:
        raise UsageError(f"there is no signal to write to {path}", "name one: --signals face,head,body,hands")
    metadata = stream_metadata(
        fps=stream.fps, width=stream.width, height=stream.height, space=first.space, source_sha256=first.source_sha256,
        extractor_versions=first.extractor_versions,
    )  # fmt: skip
    with replacing(path) as beside, TensorWriter(beside, layout, _complete(metadata, frames), checksum=True) as writer:
        for start in range(0, frames, _WINDOW):
            for kind, signal in stream.window(start, start + _WINDOW).signals().items():
                for name, array in _arrays_of(kind, signal).items():
                    timed = signal.SHAPES[name.partition(".")[2]][0] == "T"
                    writer.put(name, array, row=start if timed else 0)
        if matte is not None:
            for name in _matte_names():
                writer.copy(name, matte)


def is_controls_file(path: Path) -> bool:
    """Whether a file says of itself that it holds controls; `StoredControls.read` finds out whether it does."""
    try:
        if not path.is_file():  # a named pipe would be waited for
            return False
        with path.open("rb") as file:
            head = file.read(1 << 16)
    except (OSError, ValueError):
        return False
    return head[8:9] == b"{" and f'"format":"{FORMAT}"'.encode() in head


class StoredControls:
    """Signals of a clip on disk, read window by window (`contracts.ControlStream`).

    Attributes:
        num_frames, fps, width, height: of the clip.
        signals: their kinds; ``matte`` among them if it is there.
        metadata: of the file that was read first.
        matte: reader of the masks, if they are there.
    """

    def __init__(self, files: Mapping[str, TensorFile]) -> None:
        """Check files that hold a signal of each kind; use `open` or `read`."""
        if not files:
            raise UsageError("there are no signals to read", "name one: --signals face,head,body,hands")
        clips = [_clip(file) for file in files.values()]
        clip = clips[0]
        self.matte = MatteReader(files[MATTE]) if MATTE in files else None
        for kind, file in files.items():
            frames = self.matte.num_frames if self.matte and kind == MATTE else _frames_in(kind, file)
            if frames != _clip(file).num_frames or _clip(file)[:5] != clip[:5]:
                raise InputRefused(f"{file.path}: the signal {kind!r} is not of the same clip as the others", _HINT)
        self._files = dict(files)
        self._clip = clip
        self._versions = {name: version for other in clips for name, version in other.extractor_versions.items()}
        self.num_frames, self.fps, self.width, self.height = clip[:4]
        self.signals = tuple(files)
        self.metadata: Mapping[str, str] = next(iter(files.values())).metadata

    @classmethod
    def open(cls, files: Mapping[str, Path]) -> StoredControls:
        """Signals of one file each, by kind.

        Raises:
            UnreadableInput: a file is not what it should be.
            InputRefused: the files are not of one clip.
        """
        return cls({kind: TensorFile(path) for kind, path in files.items()})

    @classmethod
    def read(cls, path: Path) -> StoredControls:
        """A portable file, all of which is checked now: better than to fail in the middle of a clip.

        Raises:
            UnreadableInput: the file is damaged or not a controls file.
            InputRefused: the file holds what is not a control signal, or values that cannot be.
        """
        file = TensorFile(path)
        kinds = dict.fromkeys(name.partition(".")[0] for name in file.entries)
        _clip(file)  # before its arrays: a foreign file should hear that it is one
        for name in file.entries:
            if name not in _names_of(name.partition(".")[0]):
                raise InputRefused(f"{path} holds {name[:80]!r}, which is no control signal", _HINT)
        order = [kind for kind in (*SIGNALS, MATTE) if kind in kinds]
        controls = cls(dict.fromkeys(order, file))
        if not file.checksum_holds():
            raise UnreadableInput(f"{path} is damaged: its data are not those that were written", _HINT)
        for name in file.entries:
            for values in file.arrays(name):
                _check_values(path, name, values)
        if controls.matte is not None and CHECKSUM not in file.metadata:  # decoding takes long, and checksums do the same
            for frame in range(controls.num_frames):
                controls.matte.window(frame, frame + 1)
        return controls

    def window(self, start: int, stop: int) -> Controls:
        """Controls of frames start..stop-1, clipped to the clip; nothing else is read.

        Raises:
            UnreadableInput: a file is damaged.
        """
        stop = max(min(stop, self.num_frames), 0)
        start = min(max(start, 0), stop)
        signals: dict[str, Signal] = {}
        for kind, file in self._files.items():
            if kind == MATTE:
                continue
            fields = {}
            for field, shape in SIGNALS[kind].SHAPES.items():
                name = f"{kind}.{field}"
                fields[field] = file.read(name, start, stop) if shape[0] == "T" else file.read(name)
                _check_values(file.path, name, fields[field])
            signals[kind] = SIGNALS[kind](**fields)
        return Controls(
            num_frames=stop - start, fps=self.fps, width=self.width, height=self.height, space=self._clip.space,
            source_sha256=self._clip.source_sha256, extractor_versions=self._versions, **signals,  # type: ignore[arg-type]
        )  # fmt: skip

    def only(self, *kinds: str) -> StoredControls:
        """The same clip with those of the named signals that are there, for who does not need to read the others."""
        return StoredControls({kind: file for kind, file in self._files.items() if kind in kinds})

    def matte_arrays(self) -> TensorFile | None:
        """The file that holds the matte, if it is there, to copy it as it is."""
        return self._files.get(MATTE)


def _matte_names() -> tuple[str, str]:
    return f"{MATTE}.png", f"{MATTE}.offsets"


def _names_of(kind: str) -> tuple[str, ...]:
    """Arrays of a kind of signal; none for what is no signal."""
    if kind == MATTE:
        return _matte_names()
    return tuple(f"{kind}.{field}" for field in SIGNALS[kind].SHAPES) if kind in SIGNALS else ()


def _arrays_of(kind: str, source: Signal | U8) -> dict[str, Array]:
    if isinstance(source, Signal):
        if SIGNALS.get(kind) is not type(source):
            raise ValueError(f"a {type(source).__name__} is not the signal {kind!r}")
        arrays = {f"{kind}.{field}": array for field, array in source.arrays().items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{name} has values that are not finite")
        return arrays
    if kind != MATTE:
        raise ValueError(f"masks are not the signal {kind!r}")
    return dict(zip(_matte_names(), encode_mattes(source), strict=True))


def _frames_of(kind: str, layout: Layout) -> int:
    if kind == MATTE:
        return layout[_matte_names()[1]][1][0] - 1
    field = next(field for field, shape in SIGNALS[kind].SHAPES.items() if shape[0] == "T")
    return layout[f"{kind}.{field}"][1][0]


def _join_parts(path: Path, kind: str, parts: Sequence[Path], metadata: Mapping[str, str] | None) -> None:
    if not parts:
        raise ValueError(f"{kind!r} needs at least one part")
    whole = {f"{kind}.{field}" for field, shape in SIGNALS[kind].SHAPES.items() if shape[0] != "T"}
    layout: dict[str, tuple[np.dtype[np.generic], tuple[int, ...]]] = {}
    fixed: dict[str, Array] = {}
    frames = 0
    for part in _open_each(parts):
        frames += _frames_in(kind, part)
        for name in whole:
            if not np.array_equal(fixed.setdefault(name, part.read(name)), part.read(name)):
                raise ValueError(f"{name} is not the same in all parts")
        layout = {name: (part.entries[name].dtype, part.entries[name].shape) for name in _names_of(kind)}
    layout = {name: (dtype, shape if name in whole else (frames, *shape[1:])) for name, (dtype, shape) in layout.items()}
    with TensorWriter(path, layout, _complete(metadata, frames)) as writer:
        for name, values in fixed.items():
            writer.put(name, values)
        start = 0
        for part in _open_each(parts):
            for name in layout.keys() - whole:
                writer.copy(name, part, row=start)
            start += _frames_in(kind, part)


def _join_mattes(path: Path, parts: Sequence[Path], metadata: Mapping[str, str] | None) -> None:
    png, offsets = _matte_names()
    frames = size = 0
    sides = set()
    for part in _open_each(parts):
        reader = MatteReader(part)
        sides.add((reader.width, reader.height))
        frames += reader.num_frames
        size += part.entries[png].shape[0]
    if len(sides) != 1:
        raise ValueError("a matte needs parts of one size")
    layout: Layout = {png: (np.uint8, (size,)), offsets: (np.int64, (frames + 1,))}
    with TensorWriter(path, layout, _complete(metadata, frames)) as writer:
        frame = byte = 0
        for part in _open_each(parts):
            writer.copy(png, part, row=byte)
            writer.put(offsets, part.read(offsets).astype(np.int64) + byte, row=frame)  # its first is the last one's end
            frame += part.entries[offsets].shape[0] - 1
            byte += part.entries[png].shape[0]


def _open_each(paths: Sequence[Path]) -> Iterator[TensorFile]:
    """One file after the other: a long clip has more parts than a process may hold open."""
    for path in paths:
        with closing(TensorFile(path)) as file:
            yield file


def _complete(metadata: Mapping[str, str] | None, frames: int) -> dict[str, str]:
    if metadata is None:
        return {}
    return {**metadata, "format": FORMAT, "format_version": FORMAT_VERSION, "num_frames": str(frames)}


def _frames_in(kind: str, file: TensorFile) -> int:
    """T of a signal in a file, whose shapes and types are checked against the contract."""
    if kind not in SIGNALS:
        raise ValueError(f"there is no signal {kind!r}")
    signal, frames = SIGNALS[kind], None
    for field, shape in signal.SHAPES.items():
        entry = file.entries.get(f"{kind}.{field}")
        if entry is None:
            raise UnreadableInput(f"{file.path} lacks {kind}.{field}", _HINT)
        if shape[0] == "T" and frames is None:
            frames = entry.shape[0]
        want = tuple(frames if size == "T" else size for size in shape)
        dtype: np.dtype[np.generic] = np.dtype(signal.DTYPES.get(field, np.float32))
        if entry.shape != want or entry.dtype != dtype:
            have = f"{entry.dtype} {entry.shape}"
            raise UnreadableInput(f"{file.path}: {kind}.{field} must be {dtype} {want}, not {have}", _HINT)
    return frames or 0


def _clip(file: TensorFile) -> _Clip:
    """The metadata of a file, checked."""
    metadata = file.metadata
    if metadata.get("format") != FORMAT:
        raise UnreadableInput(f"{file.path} is not a controls file", _HINT)
    if metadata.get("format_version") != FORMAT_VERSION:
        version = metadata.get("format_version", "none")[:16]
        raise InputRefused(f"{file.path} has format version {version}, not {FORMAT_VERSION}", _HINT)

    def text(name: str, pattern: str) -> str:
        value = metadata.get(name, "")
        if not re.fullmatch(pattern, value, re.ASCII):
            raise UnreadableInput(f"{file.path}: its metadata give no usable {name}", _HINT)
        return value

    numerator, denominator = text("fps", r"[1-9]\d{0,8}/[1-9]\d{0,8}").split("/")
    fps = Fraction(int(numerator), int(denominator))
    if fps > 1000:
        raise UnreadableInput(f"{file.path}: its metadata give no usable fps", _HINT)
    return _Clip(
        num_frames=int(text("num_frames", r"[1-9]\d{0,6}")),
        fps=fps,
        width=int(text("width", r"[1-9]\d{0,4}")),
        height=int(text("height", r"[1-9]\d{0,4}")),
        space=cast("Space", text("space", "driving|reference")),
        source_sha256=text("source_sha256", r"([0-9a-f]{64})?"),
        extractor_versions=_versions(file),
    )


def _versions(file: TensorFile) -> dict[str, str]:
    try:
        versions = json.loads(file.metadata.get("extractor_versions", "{}"))
    except (ValueError, RecursionError):
        versions = None
    if not isinstance(versions, dict) or not all(isinstance(version, str) for version in versions.values()):
        raise UnreadableInput(f"{file.path}: its metadata give no usable extractor_versions", _HINT)
    return versions


def _check_values(path: Path, name: str, values: Array) -> None:
    if values.dtype.kind == "f" and values.size and not (np.abs(values) <= MAX_VALUE).all():
        raise InputRefused(f"{path}: {name} has values that are not finite, or beyond all measure", _HINT)
