import json
import os
import pickle
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from dreamactor_cli.contracts import Appearance, Body, Controls, ControlStream, Face, Hands, Head, Speech
from dreamactor_cli.controls_file import StoredControls, is_controls_file, stream_metadata, write_controls, write_signal
from dreamactor_cli.errors import InputRefused, UnreadableInput, UsageError

ROOT = Path(__file__).parents[1]
T = 37
META = stream_metadata(
    fps=Fraction(30000, 1001), width=320, height=240, source_sha256="ab" * 32, extractor_versions={"face": "3"}
)


def random_signals(frames: int = T, seed: int = 0) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    kinds = (("face", Face), ("head", Head), ("body", Body), ("hands", Hands), ("appearance", Appearance), ("speech", Speech))
    signals = {}
    for kind, signal in kinds:
        arrays = {}
        for field, shape in signal.SHAPES.items():
            sizes = [frames if size == "T" else size for size in shape]
            dtype = signal.DTYPES.get(field, np.float32)
            values = rng.integers(0, 256, sizes) if dtype is np.uint8 else rng.normal(size=sizes)
            arrays[field] = values.astype(dtype)
        signals[kind] = signal(**arrays)
    return signals


def random_masks(frames: int = T) -> np.ndarray:
    y, x = np.mgrid[:36, :48]
    centres = np.random.default_rng(1).uniform(10, 30, (frames, 2))
    return np.stack([np.clip(255 - 12 * np.hypot(x - a, y - b), 0, 255) for a, b in centres]).astype(np.uint8)


def clip(frames: int = T, **signals: object) -> Controls:
    return Controls(
        num_frames=frames, fps=Fraction(30000, 1001), width=320, height=240, source_sha256="ab" * 32,
        extractor_versions={"face": "3"}, **(signals or random_signals(frames)),
    )  # fmt: skip


def assert_same(one: Controls, two: Controls) -> None:
    assert one.signals().keys() == two.signals().keys()
    for kind, signal in one.signals().items():
        for field, array in signal.arrays().items():
            np.testing.assert_array_equal(array, two.signals()[kind].arrays()[field], err_msg=f"{kind}.{field}")
    names = ("num_frames", "fps", "width", "height", "space", "source_sha256", "extractor_versions")
    assert [getattr(one, name) for name in names] == [getattr(two, name) for name in names]


@pytest.fixture
def portable(tmp_path: Path) -> Path:
    path = tmp_path / "clip.controls.safetensors"
    write_controls(path, clip())
    return path


def test_round_trip_of_every_signal(portable: Path) -> None:
    stored = StoredControls.read(portable)
    assert isinstance(stored, ControlStream)
    assert (stored.num_frames, stored.fps, stored.width, stored.height) == (T, Fraction(30000, 1001), 320, 240)
    assert stored.signals == ("face", "head", "body", "hands", "appearance", "speech")
    assert_same(stored.window(0, T), clip())
    assert_same(stored.window(5, 9), clip().window(5, 9))


@pytest.mark.parametrize(("start", "stop", "frames"), [(0, 1, 1), (30, 99, 7), (-5, 3, 3), (9, 9, 0), (50, 60, 0), (9, 3, 0)])
def test_windows_are_clipped(portable: Path, start: int, stop: int, frames: int) -> None:
    window = StoredControls.read(portable).window(start, stop)
    assert window.num_frames == frames
    assert window.face is not None
    assert window.face.landmarks.shape == (frames, 478, 3)
    assert window.face.identity.shape == (478, 3)


def test_it_is_an_ordinary_safetensors_file(portable: Path) -> None:
    arrays = load_file(portable)
    np.testing.assert_array_equal(arrays["face.landmarks"], random_signals()["face"].landmarks)
    with safe_open(portable, "np") as file:
        assert file.metadata()["fps"] == "30000/1001"
        assert file.metadata()["format"] == "dreamactor-controls"


def test_equal_controls_give_equal_bytes_and_leave_nothing_else(tmp_path: Path, portable: Path) -> None:
    write_controls(tmp_path / "again", StoredControls.read(portable))
    assert (tmp_path / "again").read_bytes() == portable.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "clip.controls.safetensors"]


def test_long_clips_are_written_in_windows(tmp_path: Path) -> None:
    controls = clip(700, head=random_signals(700)["head"])
    write_controls(tmp_path / "long", controls)
    assert_same(StoredControls.read(tmp_path / "long").window(0, 700), controls)


def test_failed_write_leaves_the_old_file(portable: Path) -> None:
    class Broken:
        num_frames, fps, width, height = 2 * 256, Fraction(25), 32, 32

        def window(self, start: int, stop: int) -> Controls:
            if start:
                raise RuntimeError("stopped")
            return clip(stop - start)

    before = portable.read_bytes()
    with pytest.raises(RuntimeError, match="stopped"):
        write_controls(portable, Broken())
    assert portable.read_bytes() == before
    assert len(list(portable.parent.iterdir())) == 1


def test_no_folder_no_signals_not_finite(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write_controls(tmp_path / "missing" / "file", clip())
    with pytest.raises(UsageError):
        write_controls(tmp_path, clip())
    with pytest.raises(UsageError):
        write_controls(tmp_path / "none", Controls(num_frames=3, fps=Fraction(25), width=9, height=9))
    head = random_signals()["head"]
    head.radius[3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        write_controls(tmp_path / "nan", clip(head=head))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["face", "head", "body", "hands", "appearance", "speech"])
def test_parts_are_joined(tmp_path: Path, kind: str) -> None:
    signal = random_signals()[kind]
    bounds = [(0, 16), (16, 17), (17, T)]
    parts = [tmp_path / f"part{start}" for start, _ in bounds]
    for part, (start, stop) in zip(parts, bounds):
        write_signal(part, kind, signal.window(start, stop))
    write_signal(tmp_path / "joined", kind, parts, META)
    write_signal(tmp_path / "whole", kind, signal, META)
    assert (tmp_path / "joined").read_bytes() == (tmp_path / "whole").read_bytes()
    assert_same(StoredControls.open({kind: tmp_path / "joined"}).window(0, T), clip(**{kind: signal}))


def test_more_parts_than_files_may_be_open(tmp_path: Path) -> None:
    signals, masks = random_signals(80), random_masks(80)
    for frame in range(80):
        write_signal(tmp_path / f"face{frame}", "face", signals["face"].window(frame, frame + 1))
        write_signal(tmp_path / f"matte{frame}", "matte", masks[frame : frame + 1])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 10, limits[1]))
    try:
        for kind in ("face", "matte"):
            write_signal(tmp_path / kind, kind, [tmp_path / f"{kind}{frame}" for frame in range(80)], META)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    stored = StoredControls.open({"face": tmp_path / "face", "matte": tmp_path / "matte"})
    assert_same(stored.window(0, 80), clip(80, face=signals["face"]))
    np.testing.assert_array_equal(stored.matte.window(0, 80), masks)


def test_mattes_of_stills_may_be_large(tmp_path: Path) -> None:
    mask = np.zeros((1, 3000, 4000), np.uint8)
    mask[:, 1000:] = 200
    write_signal(tmp_path / "still", "matte", mask, META)
    np.testing.assert_array_equal(StoredControls.open({"matte": tmp_path / "still"}).matte.window(0, 1), mask)
    with pytest.raises(ValueError, match="masks"):
        write_signal(tmp_path / "clip", "matte", np.zeros((2, 8, 1025), np.uint8), META)


def test_mattes_of_two_sizes_do_not_fit(tmp_path: Path) -> None:
    write_signal(tmp_path / "one", "matte", np.zeros((2, 8, 8), np.uint8))
    write_signal(tmp_path / "two", "matte", np.zeros((2, 9, 8), np.uint8))
    with pytest.raises(ValueError, match="one size"):
        write_signal(tmp_path / "joined", "matte", [tmp_path / "one", tmp_path / "two"], META)


def test_parts_with_another_identity_do_not_fit(tmp_path: Path) -> None:
    write_signal(tmp_path / "one", "face", random_signals(3, seed=1)["face"])
    write_signal(tmp_path / "two", "face", random_signals(3, seed=2)["face"])
    with pytest.raises(ValueError, match=r"face\.identity"):
        write_signal(tmp_path / "joined", "face", [tmp_path / "one", tmp_path / "two"], META)


def test_one_file_a_signal(tmp_path: Path) -> None:
    signals = random_signals()
    for kind, signal in signals.items():
        meta = stream_metadata(
            fps=Fraction(30000, 1001), width=320, height=240, source_sha256="ab" * 32, extractor_versions={kind: "3"}
        )
        write_signal(tmp_path / kind, kind, signal, meta)
    stored = StoredControls.open({kind: tmp_path / kind for kind in signals})
    window = stored.window(3, 5)
    assert window.extractor_versions == dict.fromkeys(signals, "3")
    np.testing.assert_array_equal(window.body.score, signals["body"].score[3:5])
    few = stored.only("head", "body", "matte")
    assert few.signals == ("head", "body")
    assert few.window(0, 2).signals().keys() == {"head", "body"}


def test_signals_of_other_clips_do_not_mix(tmp_path: Path) -> None:
    write_signal(tmp_path / "head", "head", random_signals(5)["head"], META)
    write_signal(tmp_path / "body", "body", random_signals(6)["body"], META)
    with pytest.raises(InputRefused, match="same clip"):
        StoredControls.open({"head": tmp_path / "head", "body": tmp_path / "body"})
    with pytest.raises(UnreadableInput, match="lacks"):
        StoredControls.open({"head": tmp_path / "body"})


def test_reads_on_when_the_name_is_gone(portable: Path) -> None:
    stored = StoredControls.read(portable)
    portable.unlink()
    assert_same(stored.window(0, T), clip())


def test_travels_to_another_process(portable: Path) -> None:
    assert_same(pickle.loads(pickle.dumps(StoredControls.read(portable))).window(4, 7), clip().window(4, 7))


def test_closes_its_files(portable: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        StoredControls.read(portable).window(0, 3)
    assert len(os.listdir("/proc/self/fd")) == before


def test_matte_is_kept_exactly(tmp_path: Path) -> None:
    masks = random_masks()
    write_signal(tmp_path / "a", "matte", masks[:20])
    write_signal(tmp_path / "b", "matte", masks[20:])
    write_signal(tmp_path / "matte", "matte", [tmp_path / "a", tmp_path / "b"], META)
    write_signal(tmp_path / "head", "head", random_signals()["head"], META)
    stored = StoredControls.open({"head": tmp_path / "head", "matte": tmp_path / "matte"})
    assert stored.window(0, 2).signals().keys() == {"head"}
    write_controls(tmp_path / "portable", stored)
    for controls in (stored, StoredControls.read(tmp_path / "portable")):
        matte = controls.matte
        assert matte is not None
        assert (matte.num_frames, matte.width, matte.height) == (T, 48, 36)
        np.testing.assert_array_equal(matte.window(0, T), masks)
        np.testing.assert_array_equal(matte.window(18, 23), masks[18:23])
        assert matte.window(T, T + 5).shape == (0, 36, 48)
    assert StoredControls.open({"head": tmp_path / "head"}).matte is None


def _matte_file(path: Path, png: np.ndarray, offsets: np.ndarray) -> Path:
    frames = str(len(offsets) - 1)
    meta = {**META, "format": "dreamactor-controls", "format_version": "1", "num_frames": frames}
    save_file({"matte.png": png, "matte.offsets": offsets}, path, meta)
    return path


def _damaged_mattes() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    from dreamactor_cli.matte_file import encode_mattes

    png, offsets = encode_mattes(random_masks(4))
    bomb = png.copy()
    bomb[16:24] = np.frombuffer(struct.pack(">II", 1025, 1025), np.uint8)
    other = encode_mattes(np.zeros((1, 9, 9), np.uint8))[0]
    return {
        "negative": (png, offsets * -1),
        "overlapping": (png, offsets[[0, 2, 1, 3, 4]]),
        "beyond": (png, offsets + np.array([0, 0, 0, 0, 7])),
        "not from 0": (png, np.maximum(offsets, 3)),
        "no frames": (png, offsets[:1]),
        "noise": (np.random.default_rng(0).integers(0, 256, len(png)).astype(np.uint8), offsets),
        "damaged inside": (np.where(np.arange(len(png)) % 97 == 60, ~png, png), offsets),
        "bomb": (bomb, offsets),
        "another size": (np.concatenate([png, other]), np.append(offsets, len(png) + len(other))),
        "wrong type": (png, offsets.astype(np.float32)),
        "empty": (png[:0], np.zeros(5, np.int64)),
    }


@pytest.mark.parametrize("damage", list(_damaged_mattes()))
def test_damaged_mattes_are_refused(tmp_path: Path, damage: str) -> None:
    with pytest.raises(UnreadableInput) as raised:
        StoredControls.read(_matte_file(tmp_path / "matte", *_damaged_mattes()[damage]))
    assert raised.value.hint


def test_is_controls_file_goes_by_content(tmp_path: Path, portable: Path) -> None:
    portable.rename(tmp_path / "video.mp4")
    assert is_controls_file(tmp_path / "video.mp4")
    save_file({"face.landmarks": np.zeros((3, 478, 3), np.float32)}, tmp_path / "foreign.safetensors")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text.controls.safetensors").write_text('{"format":"dreamactor-controls"}')
    os.mkfifo(tmp_path / "pipe")
    for name in ("foreign.safetensors", "empty", "text.controls.safetensors", "missing", ".", "pipe"):
        assert not is_controls_file(tmp_path / name)


def test_truncation_anywhere_is_refused(portable: Path) -> None:
    data = portable.read_bytes()
    header = 8 + struct.unpack("<Q", data[:8])[0]
    rng = np.random.default_rng(0)
    lengths = [0, 1, 7, 8, 9, header // 2, header - 1, header, header + 1, len(data) - 1, *rng.integers(0, len(data), 40)]
    for length in lengths:
        portable.write_bytes(data[:length])
        with pytest.raises(UnreadableInput) as raised:
            StoredControls.read(portable)
        assert str(portable) in raised.value.message
        assert raised.value.hint
    portable.write_bytes(data + b"\0")
    with pytest.raises(UnreadableInput):
        StoredControls.read(portable)


def test_changed_bytes_are_noticed(portable: Path) -> None:
    data = portable.read_bytes()
    rng = np.random.default_rng(0)
    for position in [*range(0, 64, 7), *rng.integers(0, len(data), 100)]:
        changed = bytearray(data)
        changed[position] ^= 1 << int(rng.integers(0, 8))
        portable.write_bytes(changed)
        try:
            stored = StoredControls.read(portable)
        except InputRefused:
            continue
        assert position < 2000  # a digit of the metadata: still a file that can be used
        stored.window(0, T)


def _header_of(path: Path) -> tuple[dict, bytes]:
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _with_header(path: Path, header: object, body: bytes) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


@pytest.mark.parametrize("length", [0, 1, 2**20 + 1, 2**31, 2**63, 2**64 - 1])
def test_header_lengths(tmp_path: Path, length: int) -> None:
    (tmp_path / "file").write_bytes(struct.pack("<Q", length) + b"{}" * 600)
    with pytest.raises(UnreadableInput):
        StoredControls.read(tmp_path / "file")


def _entry(change: Callable[[dict], object]) -> Callable[[dict], None]:
    def apply(header: dict) -> None:
        change(header["head.radius"])

    return apply


def _meta(**values: object) -> Callable[[dict], None]:
    return lambda header: header["__metadata__"].update(values)


TAMPERED: dict[str, Callable[[dict], object]] = {
    "negative offsets": _entry(lambda e: e.update(data_offsets=[-8, e["data_offsets"][1]])),
    "swapped offsets": _entry(lambda e: e.update(data_offsets=e["data_offsets"][::-1])),
    "overlap": _entry(lambda e: e.update(data_offsets=[n - 4 for n in e["data_offsets"]])),
    "far away": _entry(lambda e: e.update(data_offsets=[n + 2**40 for n in e["data_offsets"]])),
    "three offsets": _entry(lambda e: e["data_offsets"].append(3)),
    "fractions": _entry(lambda e: e.update(shape=[37.0])),
    "booleans": _entry(lambda e: e.update(shape=[True])),
    "huge shape": _entry(lambda e: e.update(shape=[10**30])),
    "no shape": _entry(lambda e: e.update(shape=[])),
    "shape of another": _entry(lambda e: e.update(shape=[T, 1])),
    "half floats": _entry(lambda e: e.update(dtype="F16", shape=[2 * T])),
    "bytes": _entry(lambda e: e.update(dtype="U8", shape=[4 * T])),
    "list as type": _entry(lambda e: e.update(dtype=["F32"])),
    "not described": lambda h: h.update({"head.radius": 7}),
    "more described": _entry(lambda e: e.update(extra=1)),
    "lacks an array": lambda h: h.update({"head.other": h.pop("head.radius")}),
    "unknown kind": lambda h: h.update({"tail.radius": h.pop("head.radius")}),
    "no dot": lambda h: h.update({"radius": h.pop("head.radius")}),
    "metadata are a list": lambda h: h.update(__metadata__=[1]),
    "metadata hold numbers": _meta(width=320),
    "no metadata": lambda h: h.pop("__metadata__"),
    "other format": _meta(format="pt"),
    "later version": _meta(format_version="2"),
    "frames": _meta(num_frames=str(T + 1)),
    "many frames": _meta(num_frames="9" * 5000),
    "far too many frames": _meta(num_frames="10000000"),
    "no rate": _meta(fps="0/1"),
    "no denominator": _meta(fps="25/0"),
    "decimal rate": _meta(fps="29.97"),
    "wild rate": _meta(fps="999999999/1"),
    "size": _meta(width="-5"),
    "arabic digits": _meta(width="٣٢٠"),
    "huge size": _meta(height="1000000"),
    "space": _meta(space="outer"),
    "source": _meta(source_sha256="../../etc/passwd"),
    "versions": _meta(extractor_versions="[1, 2]"),
    "deep versions": _meta(extractor_versions="[" * 100000),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampered_headers_are_refused(portable: Path, name: str) -> None:
    header, body = _header_of(portable)
    header["__metadata__"].pop("data_sha256")
    _with_header(portable, header, body)
    StoredControls.read(portable)  # it is the tampering that is refused
    TAMPERED[name](header)
    _with_header(portable, header, body)
    with pytest.raises(InputRefused) as raised:
        StoredControls.read(portable)
    assert raised.value.hint
    assert len(raised.value.message) < 500


NO_HEADERS = (b"[]", b"{}", b"null", b'{"a', b"\xff\xfe{}", b"[" * 200000, b'{"a":1,"a":1}', b"1" * 9999, b"NaN")


@pytest.mark.parametrize("text", NO_HEADERS, ids=range(len(NO_HEADERS)))
def test_headers_that_are_none(tmp_path: Path, text: bytes) -> None:
    _with_header(tmp_path / "file", text, b"")
    with pytest.raises(UnreadableInput):
        StoredControls.read(tmp_path / "file")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_values_beyond_all_measure_are_refused(portable: Path, value: float) -> None:
    header, body = _header_of(portable)
    header["__metadata__"].pop("data_sha256")
    _with_header(portable, header, body)
    arrays = load_file(portable)
    arrays["face.expression"][20, 100, 1] = value
    save_file(arrays, portable, header["__metadata__"])
    with pytest.raises(InputRefused, match=r"face\.expression"):
        StoredControls.read(portable)
    # A cache entry is not read through when it is opened; its values are checked when they are needed.
    stored = StoredControls.open(dict.fromkeys(("face", "head"), portable))
    stored.window(0, 20)
    with pytest.raises(InputRefused, match=r"face\.expression"):
        stored.window(20, 21)


def test_foreign_and_missing_files(tmp_path: Path) -> None:
    save_file({"weight": np.zeros((3, 3), np.float32)}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UnreadableInput, match="not a controls file"):
        StoredControls.read(tmp_path / "model.safetensors")
    with pytest.raises(UnreadableInput, match="does not exist"):
        StoredControls.read(tmp_path / "missing")
    with pytest.raises(UnreadableInput, match="not a file"):
        StoredControls.read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableInput, match="not a file"):
        StoredControls.read(tmp_path / "pipe")


def test_shrinking_while_it_is_read(portable: Path) -> None:
    stored = StoredControls.read(portable)
    os.truncate(portable, 4000)
    with pytest.raises(UnreadableInput, match="shorter"):
        stored.window(0, T)


MEMORY = """
import resource, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Face
from dreamactor_cli.controls_file import StoredControls, stream_metadata, write_controls, write_signal

def face(frames):
    zeros = {name: np.zeros([frames if n == "T" else n for n in shape], np.float32) for name, shape in Face.SHAPES.items()}
    return Face(**zeros)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

folder, parts, frames = Path(sys.argv[1]), int(sys.argv[2]), 250
write_signal(folder / "part", "face", face(frames))
meta = stream_metadata(fps=Fraction(25), width=320, height=240)
cache = Cache(folder / "cache")
warm = cache.put("0" * 64, lambda path: write_signal(path, "face", [folder / "part"], meta))
write_controls(folder / "warm", StoredControls.open({"face": warm}))
StoredControls.read(folder / "warm").window(0, 64)
before = peak()
path = cache.put("1" * 64, lambda path: write_signal(path, "face", [folder / "part"] * parts, meta))
assert cache.verify() == []
stored = StoredControls.open({"face": cache.get("1" * 64)})
assert stored.num_frames == parts * frames
write_controls(folder / "portable", stored)
again = StoredControls.read(folder / "portable")
for start in range(0, again.num_frames, 64):
    again.window(start, start + 64)
print(path.stat().st_size >> 20, peak() - before)
"""


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path), "60"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    size, growth = map(int, done.stdout.split())
    assert size > 150  # MiB: 15000 frames, ten minutes at 25 frames/s
    assert growth < 12
