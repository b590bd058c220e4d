"""The renderer behind our seam, with tiny weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dreamactor_cli.contracts import Controls, Preset, Reference, RenderSettings
from dreamactor_cli.errors import MissingRequirement, UsageError
from dreamactor_cli.reference import _stack
from dreamactor_cli.renderers.needs import Demanding, check_gpu, check_needs, choose_device
from dreamactor_cli.renderers.wan_animate import weights
from dreamactor_cli.renderers.wan_animate.renderer import AREA, MARGIN, WanAnimateRenderer, widened, working_size
from dreamactor_cli.retarget.framing import frame_reference
from dreamactor_cli.retarget.transfer import RetargetedStream

FPS = Fraction(30)


@pytest.fixture(scope="module")
def renderer() -> Iterator[WanAnimateRenderer]:
    """One for all tests: the weights are loaded once."""
    made = WanAnimateRenderer()
    yield made
    made.close()


@pytest.fixture
def preset(tiny_wan: Path) -> Preset:
    return Preset(
        renderer="wan-animate", weights=str(tiny_wan), steps=1, guidance_motion=1.0, segment_frames=77, precision="float32"
    )


@pytest.fixture
def rendered(
    renderer: WanAnimateRenderer, preset: Preset, reference: Reference, perform: Callable[..., Controls]
) -> Callable[..., list[NDArray[np.uint8]]]:
    """``rendered(frames, width, height, steps=...)``: the blocks that come of so many frames of an opening mouth."""

    def render(frames: int, width: int = 32, height: int = 32, seed: int = 0, **changes: object) -> list[NDArray[np.uint8]]:
        small = frame_reference(reference, width, height)
        driver = perform(frames / 30, fps=FPS, jawOpen=[0, 1]).window(0, frames)
        stream = RetargetedStream(small.controls, driver, preset, FPS)
        settings = RenderSettings(width=width, height=height, preset=replace(preset, **changes), seed=seed, threads=1)  # type: ignore[arg-type]
        return list(renderer.render(small, stream, settings))

    return render


@pytest.mark.parametrize(
    ("frames", "segments", "segment_frames"), [(78, 2, 77), (1, 1, 9), (8, 1, 9), (9, 1, 9), (10, 2, 9), (17, 2, 9), (18, 3, 9)]
)
def test_every_length_comes_out_exactly(
    rendered: Callable[..., list[NDArray[np.uint8]]], frames: int, segments: int, segment_frames: int
) -> None:
    blocks = rendered(frames, segment_frames=segment_frames)
    assert [block.shape[1:] for block in blocks] == [(32, 32, 3)] * segments
    assert sum(map(len, blocks)) == frames
    assert all(block.dtype == np.uint8 and block.std() > 2 for block in blocks)


def test_the_same_job_gives_the_same_bytes_and_another_seed_others(rendered: Callable[..., list[NDArray[np.uint8]]]) -> None:
    first, again = (np.concatenate(rendered(4, segment_frames=5, precision="bfloat16")) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (np.concatenate(rendered(4, segment_frames=5, precision="bfloat16", seed=1)) != first).any()


def test_sizes_that_the_model_does_not_draw_come_out_all_the_same(rendered: Callable[..., list[NDArray[np.uint8]]]) -> None:
    assert np.concatenate(rendered(2, 50, 37, segment_frames=5)).shape == (2, 37, 50, 3)


def test_large_frames_are_drawn_at_the_models_own_area() -> None:
    for width, height in ((1280, 720), (4000, 3000), (720, 1280), (64, 64), (33, 50), (8192, 16)):
        wide, high = working_size(width, height)
        assert wide % 16 == high % 16 == 0
        assert wide * high <= 1.05 * max(AREA, width * 16)
        if min(width, height) > 100:
            assert wide / high == pytest.approx(width / height, rel=0.03)
    assert working_size(1280, 720) == (1280, 720)


def test_further_pictures_are_left_out_and_that_is_said(
    renderer: WanAnimateRenderer, preset: Preset, reference: Reference, perform: Callable[..., Controls]
) -> None:
    one = frame_reference(reference, 32, 32)
    two = _stack([one, one])
    stream = RetargetedStream(two.controls, perform(0.1, fps=FPS, jawOpen=[0, 1]), preset, FPS)
    said: list[str] = []
    settings = RenderSettings(width=32, height=32, preset=replace(preset, segment_frames=5), threads=1, warn=said.append)
    assert sum(map(len, renderer.render(two, stream, settings))) == 3
    assert len(said) == 1
    assert "first picture" in said[0]


def test_it_says_what_it_lacks(preset: Preset) -> None:
    assert isinstance(WanAnimateRenderer(), Demanding)
    check_needs(preset)
    with pytest.raises(MissingRequirement, match=r"dreamactor models pull wan2\.2-animate-14b"):
        check_needs(replace(preset, weights=""))
    with pytest.raises(MissingRequirement, match="no weights 'nowhere'"):
        check_needs(replace(preset, weights="nowhere"))
    for background in ("transparent", "#00ff00"):
        with pytest.raises(UsageError, match="--background"):
            check_needs(replace(preset, background=background))


def test_heavy_weights_want_a_gpu_unless_somebody_takes_the_hours(preset: Preset, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(preset, "auto") == "cpu"
    with pytest.raises(MissingRequirement, match="no CUDA device"):
        choose_device(preset, "cuda")
    monkeypatch.setattr(weights, "_HEAVY", 1)
    with pytest.raises(MissingRequirement, match="takes hours"):
        choose_device(preset, "auto")
    with pytest.raises(MissingRequirement, match="takes hours"):
        check_gpu(preset, has_gpu=False)
    check_gpu(preset, has_gpu=True)
    assert choose_device(preset, "cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device(preset, "auto") == choose_device(preset, "cuda") == "cuda"


def test_a_person_of_other_build_has_room_around_the_drivers_mask() -> None:
    person = np.zeros((2, 200, 300), np.uint8)
    person[:, 80:120, 100:200] = 255
    wide = widened(person)
    margin = round(MARGIN * 200)
    assert set(np.unique(wide)) == {0, 255}
    assert wide[0, 100, 100 - margin] == wide[1, 80 - margin, 150] == 255
    assert not wide[0, 100, 98 - margin]


def test_other_renderers_stay_on_the_cpu() -> None:
    assert choose_device(Preset(), "auto") == choose_device(Preset(), "cpu") == "cpu"
    with pytest.raises(UsageError, match="draws on the CPU"):
        choose_device(Preset(), "cuda")
    with pytest.raises(UsageError, match="is unknown"):
        choose_device(Preset(), "tpu")
