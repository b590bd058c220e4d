"""Media that the tests synthesise, and the fixtures that everybody shares."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from xdist.scheduler import LoadFileScheduling

from tests.warm_up import warm_up

if TYPE_CHECKING:
    from dreamactor_cli.cache import Cache
    from dreamactor_cli.contracts import Controls, Reference

# Property tests try the same examples everywhere, on machines of any speed.
settings.register_profile("steady", derandomize=True, database=None, deadline=None)
settings.load_profile("steady")

ROOT = Path(__file__).resolve().parents[1]
SHARED_MEDIA = ROOT.parent / "shared" / "media"

RAY_FILES = ("tests/executors/test_ray_cluster.py", "tests/test_docs_farm.py")

CLIP_FPS = 25
CLIP_FRAMES = 38
CLIP_SIZE = 256


def pytest_configure(config: pytest.Config) -> None:
    """Before xdist starts its processes, so that they do not all compile the same."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        warm_up()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that none of them is left to one process at the end while the others idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


class OneRayAtATime(LoadFileScheduling):
    """A file is tested by one process, and files that start Ray clusters by the same one: two clusters disturb each other."""

    def _split_scope(self, nodeid: str) -> str:
        path: str = super()._split_scope(nodeid)
        return "ray" if path in RAY_FILES else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """`OneRayAtATime` for ``--dist loadfile``; None leaves the choice to xdist."""
    return OneRayAtATime(config, log) if config.getoption("dist") == "loadfile" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceClip:
    """A clip of a face whose motion is known.

    Attributes:
        path: .mp4, H.264 4:2:0, with 440 Hz AAC of the same length.
        frames: (T, 256, 256, 3) RGB, what was encoded.
        affine: (T, 2, 3), where the pixels of frame 0 went, px; identity in frame 0.
        jaw: (T,), 0..1, how far the chin was pulled down (1 is 10 px); 0 in frame 0.
    """

    path: Path
    fps: Fraction
    num_frames: int
    width: int
    height: int
    frames: NDArray[np.uint8]
    affine: NDArray[np.float64]
    jaw: NDArray[np.float64]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Two cores are shared by everything that the suite starts."""
    cv2.setNumThreads(1)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell lets what it puts into the background ignore Ctrl-C, and programs that the suite starts would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def cache_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cache that all processes of this run share, so that a clip is looked at once and not by each of them."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "dreamactor-cache"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, cache_of_the_run: Path) -> None:
    """No test, and no program that a test starts, touches the user's cache and models."""
    monkeypatch.setenv("DREAMACTOR_CACHE", str(cache_of_the_run))
    monkeypatch.setenv("DREAMACTOR_MODELS", str(tmp_path_factory.getbasetemp() / "dreamactor-models"))


@pytest.fixture(scope="session")
def astronaut_rgb() -> NDArray[np.uint8]:
    """The public-domain portrait of Eileen Collins, (512, 512, 3) RGB."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut())


@pytest.fixture(scope="session")
def astronaut(tmp_path_factory: pytest.TempPathFactory, astronaut_rgb: NDArray[np.uint8]) -> Path:
    """The same as a PNG file."""
    path = tmp_path_factory.mktemp("astronaut") / "astronaut.png"
    cv2.imwrite(str(path), astronaut_rgb[..., ::-1])
    return path


@pytest.fixture(scope="session")
def ffmpeg_exe() -> str:
    """The FFmpeg of the imageio-ffmpeg wheel."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


@pytest.fixture(scope="session")
def encode_clip(ffmpeg_exe: str) -> Callable[..., None]:
    """``encode_clip(path, frames, fps, tone=False, extra=())``; see `encode`."""
    return partial(encode, ffmpeg_exe)


@pytest.fixture(scope="session")
def face_clip(tmp_path_factory: pytest.TempPathFactory, astronaut_rgb: NDArray[np.uint8], ffmpeg_exe: str) -> FaceClip:
    """1.52 s of the astronaut's face that drifts, tilts, comes nearer and drops its jaw, with a tone."""
    path = tmp_path_factory.mktemp("face_clip") / "face.mp4"
    affine, jaw = _motion(CLIP_FRAMES)
    crop = astronaut_rgb[:CLIP_SIZE, 96 : 96 + CLIP_SIZE]
    frames = np.stack([_warp(crop, matrix, drop) for matrix, drop in zip(affine, jaw, strict=True)])
    encode(ffmpeg_exe, path, frames, Fraction(CLIP_FPS), tone=True)
    return FaceClip(
        path=path, fps=Fraction(CLIP_FPS), num_frames=CLIP_FRAMES, width=CLIP_SIZE, height=CLIP_SIZE, frames=frames,
        affine=affine, jaw=jaw,
    )  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache of this test's own."""
    from dreamactor_cli.cache import Cache

    return Cache(tmp_path / "cache")


@pytest.fixture(scope="session")
def shared_cache(cache_of_the_run: Path) -> Cache:
    """One cache for the whole run, for tests that need signals and do not test how they are made."""
    from dreamactor_cli.cache import Cache

    return Cache(cache_of_the_run)


@pytest.fixture(scope="session")
def reference(astronaut: Path, shared_cache: Cache) -> Reference:
    """The astronaut, analysed, 512x512."""
    from dreamactor_cli.reference import load_reference

    return load_reference([astronaut], size="source", cache=shared_cache).reference


@pytest.fixture(scope="session")
def perform() -> Callable[..., Controls]:
    """``perform(seconds, fps=25, jawOpen=[0, 1, 0])``: a template face performs curves with evenly spread keys."""
    from dreamactor_cli.motion import Curve, Motion, synthesise

    def make(seconds: float, fps: Fraction = Fraction(25), **curves: Sequence[float]) -> Controls:
        keyed = {
            name: Curve(times=tuple(np.linspace(0, seconds, len(values))), values=tuple(values), ease="linear")
            for name, values in curves.items()
        }
        motion = Motion(name="performance", duration=Decimal(repr(seconds)), curves=keyed)
        return synthesise(motion, fps=Fraction(fps), width=400, height=300)

    return make


@pytest.fixture(scope="session")
def debug_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of random weights of the diffusion renderer, for squares of 64 px and segments of 9 frames."""
    from dreamactor_cli.models.weights_folder import Index, save
    from tests.diffusion_models import debug_models

    folder = tmp_path_factory.mktemp("weights") / "debug"
    save(folder, debug_models(), Index(config="debug", size=64, frames=9), card="# Random numbers")
    return folder


@pytest.fixture(scope="session")
def tiny_wan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights of a Wan-Animate that draws in moments, in the real layout; not to be changed."""
    from tests.renderers.wan_animate.tiny import save_tiny

    return save_tiny(tmp_path_factory.mktemp("weights") / "tiny-wan")


@pytest.fixture
def shared_media() -> Path:
    """The folder ``../shared/media`` beside the repository; skips where it is absent."""
    if not (SHARED_MEDIA / "index.json").is_file():
        pytest.skip("../shared/media is not here")
    return SHARED_MEDIA


@pytest.fixture
def leftovers(tmp_path: Path) -> Iterator[Path]:
    """A folder that must hold no temporary file when the test ends: no hidden name, no ``.tmp``, no ``.part``."""
    folder = tmp_path / "work"
    folder.mkdir()
    yield folder
    stray = [p.name for p in folder.rglob("*") if p.name.startswith(".") or p.suffix in (".tmp", ".part")]
    assert stray == []


def encode(
    exe: str, path: Path, frames: NDArray[np.uint8], fps: Fraction, *, tone: bool = False, extra: Sequence[str] = ()
) -> None:
    """Encode frames (T, H, W, 3) RGB with FFmpeg; `extra` are output options before the file's name."""
    _, height, width, _ = frames.shape
    command = [exe, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += ["-r", str(fps), "-i", "-"]
    if tone:
        seconds = float(len(frames) / fps)
        command += ["-f", "lavfi", "-t", f"{seconds:.6f}", "-i", "sine=frequency=440:sample_rate=48000"]
    command += ["-vf", "scale=flags=accurate_rnd+full_chroma_int+full_chroma_inp:out_color_matrix=bt709:out_range=tv"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "12", "-pix_fmt", "yuv420p", "-colorspace", "bt709"]
    command += ["-color_primaries", "bt709", "-color_trc", "bt709", *extra, f"file:{path}"]
    subprocess.run(command, input=frames.tobytes(), check=True)


def _motion(num_frames: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Affine (T, 2, 3) and jaw (T,) of a slow sway about the face's centre."""
    phase = 2 * np.pi * np.arange(num_frames) / num_frames
    center = np.array([126.0, 116.0])  # of the face in the crop, px
    matrices = np.empty((num_frames, 2, 3))
    for t, p in enumerate(phase):
        angle, scale = np.radians(8 * np.sin(p)), 1 + 0.04 * (1 - np.cos(p))
        linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shift = np.array([10 * np.sin(p), 5 * np.sin(2 * p)])
        matrices[t] = np.column_stack([linear, center + shift - linear @ center])
    return matrices, 0.5 * (1 - np.cos(2 * phase))


def _warp(image: NDArray[np.uint8], matrix: NDArray[np.float64], jaw: float) -> NDArray[np.uint8]:
    """Pull the chin down by ``10 * jaw`` px, then move everything by the affine matrix."""
    grid_x, grid_y = np.meshgrid(np.arange(CLIP_SIZE, dtype=np.float32), np.arange(CLIP_SIZE, dtype=np.float32))
    around_mouth = np.exp(-(((grid_x - 126) / 45) ** 2) - (np.maximum(grid_y - 165, 0) / 30) ** 2)
    pull = 10 * jaw * np.clip((grid_y - 141) / 6, 0, 1) * around_mouth
    opened = cv2.remap(image, grid_x, (grid_y - pull).astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    size = (CLIP_SIZE, CLIP_SIZE)
    moved = cv2.warpAffine(opened, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)
