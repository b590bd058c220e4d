"""The renderer behind its seam, with random weights."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import ModelMixin
from numpy.typing import NDArray

from dreamactor_cli.contracts import Controls, Preset, Reference, RenderSettings, Signal
from dreamactor_cli.errors import MissingRequirement, UsageError
from dreamactor_cli.models import weights_folder
from dreamactor_cli.models.pipeline import DreamActorPipeline
from dreamactor_cli.models.threads import torch_threads
from dreamactor_cli.models.transformer import DreamActorTransformer3DModel
from dreamactor_cli.renderers.diffusion.loading import load_pipeline
from dreamactor_cli.renderers.diffusion.renderer import DiffusionRenderer
from dreamactor_cli.renderers.needs import Demanding
from dreamactor_cli.retarget.transfer import RetargetedStream

U8 = NDArray[np.uint8]


@pytest.fixture(scope="module")
def renderer() -> Iterator[DiffusionRenderer]:
    made = DiffusionRenderer()
    yield made
    made.close()


@pytest.fixture
def preset(debug_weights: Path) -> Preset:
    return Preset(renderer="diffusion", weights=str(debug_weights), steps=1, guidance_reference=1.0, guidance_motion=1.0)


@pytest.fixture(scope="module")
def controls(reference: Reference, perform: Callable[..., Controls]) -> RetargetedStream:
    driver = perform(0.44, jawOpen=[0, 1, 0])
    return RetargetedStream(reference.controls, driver, Preset(smoothing=0), Fraction(25))


def settings(preset: Preset, told: list[str] | None = None, **others: object) -> RenderSettings:
    warn = (told if told is not None else []).append
    return RenderSettings(width=512, height=512, preset=preset, warn=warn, **others)  # type: ignore[arg-type]


def test_frames_of_the_size_that_was_asked_for(
    renderer: DiffusionRenderer, reference: Reference, controls: RetargetedStream, preset: Preset
) -> None:
    told: list[str] = []
    frames = np.concatenate(list(renderer.render(reference, controls, settings(preset, told))))
    assert frames.shape == (11, 512, 512, 3)
    assert ["64x64" in text for text in told] == [True]
    again = np.concatenate(list(renderer.render(reference, controls, settings(preset))))
    assert np.array_equal(frames, again)
    other = np.concatenate(list(renderer.render(reference, controls, settings(preset, seed=1))))
    assert not np.array_equal(frames, other)
    assert np.array_equal(frames[:, -20:, :20], np.repeat(reference.images[:1, -20:, :20], 11, 0))


def test_threads_of_others_do_not_matter(reference: Reference, controls: RetargetedStream, preset: Preset) -> None:
    """Whether the weights were loaded before or are loaded now, and whatever number of threads is set between."""
    own, films = DiffusionRenderer(), []
    for count in (1, 3, 4):
        with torch_threads(count):
            films.append(np.concatenate(list(own.render(reference, controls, settings(preset)))))
            assert torch.get_num_threads() == count
    own.close()
    assert np.array_equal(films[0], films[1])
    assert np.array_equal(films[0], films[2])


def test_weights_that_gain_nothing_from_more_steps_and_guidance_are_not_given_them(
    renderer: DiffusionRenderer, reference: Reference, controls: RetargetedStream, preset: Preset, tmp_path: Path
) -> None:
    folder = tmp_path / "few"
    shutil.copytree(preset.weights, folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "most_steps": 1, "most_guidance": 1.0}))
    once = np.concatenate(list(renderer.render(reference, controls, settings(preset))))
    eager = replace(preset, steps=3, guidance_reference=2.5, guidance_motion=2.5)
    assert not np.array_equal(np.concatenate(list(renderer.render(reference, controls, settings(eager)))), once)
    told: list[str] = []
    held = settings(replace(eager, weights=str(folder)), told)
    assert np.array_equal(np.concatenate(list(renderer.render(reference, controls, held))), once)
    assert sum("beyond 1 steps and guidance of 1 and 1" in text for text in told) == 1


def test_weights_stay_loaded_between_jobs_and_others_take_their_place(
    renderer: DiffusionRenderer, reference: Reference, preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[object] = []
    load = weights_folder.load
    monkeypatch.setattr(weights_folder, "load", lambda folder, **named: loads.append(folder) or load(folder, **named))
    own = DiffusionRenderer()
    own.prepare(reference, settings(preset))
    own.prepare(reference, settings(replace(preset, steps=7)))
    assert len(loads) == 1
    own.prepare(reference, settings(replace(preset, precision="bfloat16")))
    assert len(loads) == 2
    own.close()
    own.prepare(reference, settings(replace(preset, precision="bfloat16")))
    assert len(loads) == 3


def test_views_of_its_own_making_are_used(
    renderer: DiffusionRenderer, reference: Reference, controls: RetargetedStream, preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[tuple[int, int]] = []
    render = DreamActorPipeline.render

    def watched(self: DreamActorPipeline, references: object, conditions: object, num_frames: int, *rest: object) -> Iterator[U8]:
        passes.append((len(references.images), num_frames))  # type: ignore[attr-defined]
        assert references.poses.shape[:-1] == references.images.shape[:-1]  # type: ignore[attr-defined]
        return render(self, references, conditions, num_frames, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(DreamActorPipeline, "render", watched)
    job = settings(replace(preset, reference_views="auto"))
    assert sum(len(frames) for frames in renderer.render(reference, controls, job)) == 11
    assert passes == [(1, 25), (3, 11)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["int8", "float8"])
def test_weights_of_eight_bits_change_little(
    renderer: DiffusionRenderer, reference: Reference, controls: RetargetedStream, preset: Preset, kind: str
) -> None:
    pytest.importorskip("torchao")
    exact = np.concatenate(list(renderer.render(reference, controls, settings(preset))))
    eight = replace(preset, quantize=kind)  # type: ignore[arg-type]
    short = np.concatenate(list(renderer.render(reference, controls, settings(eight))))
    assert 0 < np.abs(short.astype(int) - exact).mean() < 6
    transformer = load_pipeline(Path(preset.weights), eight, "cpu").models.transformer
    kept = {type(layer.weight).__name__ for layer in transformer.modules() if isinstance(layer, torch.nn.Linear)}
    assert kept == {{"int8": "Int8Tensor", "float8": "Float8Tensor"}[kind]}


@pytest.mark.slow
def test_a_model_that_is_compiled_draws_the_same(
    renderer: DiffusionRenderer, reference: Reference, controls: RetargetedStream, preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the graphs alone: to make C++ of them takes a CPU longer than this test has (`bench/dit.py --compile`)."""
    compiled: list[object] = []

    def translate(self: DreamActorTransformer3DModel, *arguments: object, **named: object) -> None:
        compiled.append(self)
        ModelMixin.compile_repeated_blocks(self, *arguments, fullgraph=True, backend="aot_eager", **named)

    exact = np.concatenate(list(renderer.render(reference, controls, settings(preset))))
    monkeypatch.setattr(DreamActorTransformer3DModel, "compile_repeated_blocks", translate)
    drawn = np.concatenate(list(renderer.render(reference, controls, settings(replace(preset, compile=True)))))
    assert len(compiled) == 1
    assert np.abs(drawn.astype(int) - exact).max() <= 1


@pytest.mark.parametrize("cache", ["first-block", "taylor"])
def test_a_preset_has_steps_reused(
    renderer: DiffusionRenderer, reference: Reference, controls: RetargetedStream, preset: Preset, cache: str
) -> None:
    many = replace(preset, steps=32)  # so many that the first block changes by less than the threshold
    exact = np.concatenate(list(renderer.render(reference, controls, settings(many))))
    reused = replace(many, step_cache=cache)  # type: ignore[arg-type]
    assert not np.array_equal(np.concatenate(list(renderer.render(reference, controls, settings(reused)))), exact)
    assert np.array_equal(np.concatenate(list(renderer.render(reference, controls, settings(many)))), exact)


def test_each_picture_is_seen_around_its_own_person(
    renderer: DiffusionRenderer, reference: Reference, controls: RetargetedStream, preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second picture in which the person stands 60 px to the right shows the model the very same square."""
    head, body = reference.controls.head, reference.controls.body
    assert head is not None
    assert body is not None
    shift = np.float32([60, 0])
    both = replace(
        reference.controls, num_frames=2, face=None, hands=None,
        head=replace(head, **{**twice(head), "center": np.concatenate([head.center, head.center + shift])}),
        body=replace(body, **{**twice(body), "joints_2d": np.concatenate([body.joints_2d, body.joints_2d + shift])}),
    )  # fmt: skip
    images = np.concatenate([reference.images, np.roll(reference.images, 60, 2)])
    pair = Reference(images=images, controls=both, matte=np.concatenate([reference.matte, reference.matte]))
    seen: list[NDArray[np.uint8]] = []

    def watched(self: DreamActorPipeline, references: object, *rest: object) -> Iterator[U8]:
        seen.append(references.images)  # type: ignore[attr-defined]
        yield np.zeros((11, 64, 64, 3), np.uint8)

    monkeypatch.setattr(DreamActorPipeline, "render", watched)
    list(renderer.render(pair, controls, settings(preset)))
    assert np.abs(seen[0][0].astype(int) - seen[0][1]).mean() < 3


def twice(signal: Signal) -> dict[str, NDArray[np.generic]]:
    return {name: np.repeat(array, 2, 0) for name, array in signal.arrays().items()}


def test_segments_are_no_longer_than_what_was_learned(
    renderer: DiffusionRenderer, reference: Reference, controls: RetargetedStream, preset: Preset
) -> None:
    asked: list[tuple[int, int]] = []

    class Watched:
        num_frames, fps, width, height = controls.num_frames, controls.fps, controls.width, controls.height

        def window(self, start: int, stop: int) -> Controls:
            asked.append((start, stop))
            return controls.window(start, stop)

    list(renderer.render(reference, Watched(), settings(preset)))
    assert asked == [(0, 9), (8, 11)]


def test_what_ran_out_of_memory_before_begins_with_less(
    renderer: DiffusionRenderer, reference: Reference, controls: RetargetedStream, preset: Preset
) -> None:
    told: list[str] = []
    list(renderer.render(reference, controls, settings(preset, told, memory=1)))
    assert ["tiles" in text for text in told] == [False, True]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"weights": "/nowhere"}, MissingRequirement, "dreamactor train diffusion"),
        ({"background": "transparent"}, UsageError, "--renderer geometry"),
        ({"background": "#00ff00"}, UsageError, "--background #00ff00"),
        ({"quantize": "int8"}, MissingRequirement, "pip install torchao"),
    ],
)
def test_what_cannot_be_rendered_is_refused_before_the_work(
    preset: Preset, change: dict[str, str], error: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "torchao")
    with pytest.raises(error) as raised:
        DiffusionRenderer().check(replace(preset, **change))
    assert says in str(raised.value)


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    found = importlib.util.find_spec

    def find_spec(name: str, within: str | None = None) -> ModuleSpec | None:
        return None if name == package else found(name, within)

    monkeypatch.setattr("dreamactor_cli.renderers.diffusion.renderer.find_spec", find_spec)


def test_a_package_that_is_not_there(preset: Preset, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "diffusers")
    with pytest.raises(MissingRequirement, match="needs diffusers"):
        DiffusionRenderer().check(preset)


def test_weights_are_known_by_their_hash(preset: Preset, debug_weights: Path, tmp_path: Path) -> None:
    renderer = DiffusionRenderer()
    assert isinstance(renderer, Demanding)
    renderer.check(preset)
    sha256 = renderer.weights_sha256(preset)
    index = json.loads((debug_weights / "model_index.json").read_text())
    index["files"]["vae/config.json"][1] = "0" * 64
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    assert len(sha256) == 64
    assert renderer.weights_sha256(replace(preset, weights=str(tmp_path))) != sha256
    assert not renderer.needs_gpu(preset)
