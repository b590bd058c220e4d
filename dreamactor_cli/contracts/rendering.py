"""The seam to the renderers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from dreamactor_cli.contracts.job import Preset
from dreamactor_cli.contracts.signals import U8, Controls, ControlStream, Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePart:
    """Frames of the driver's own picture, at the size of the output.

    Attributes:
        frames: (T, H, W, 3).
        person: (T, H, W), 0..255, how much of a pixel is the driver.
        controls: of the driver, where it stands in these frames.
    """

    frames: U8
    person: U8
    controls: Controls


class Scene(Protocol):
    """The driver's own picture, for a renderer that puts the reference into the driver's place."""

    def window(self, start: int, stop: int) -> ScenePart:
        """Output frames start..stop-1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSettings:
    """What a renderer needs to know beside reference and controls.

    Attributes:
        width, height: of the frames that are asked for, px.
        device: ``"cpu"`` or ``"cuda"``; of several devices a worker sees its own only.
        alpha: yield RGBA with straight alpha and no background.
        threads: that may draw at a time; None is one a core. No pixel depends on it.
        memory: how often memory ran out on this job before; each time, take half as much where that changes no pixel.
        warn: is told, in a sentence, what the user should know of a result that is there all the same.
        on_progress: is told how many frames of how many are as good as drawn, by a renderer that draws many at once.
        scene: with ``--background driving``, of a renderer whose spec names `RendererSpec.scene_needs`; it then draws the whole
            frame. None otherwise.
    """

    width: int
    height: int
    preset: Preset
    seed: int = 0
    device: str = "cpu"
    alpha: bool = False
    threads: int | None = None
    memory: int = 0
    warn: Callable[[str], None] = lambda text: None
    on_progress: Callable[[int, int], None] | None = None
    scene: Scene | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RendererSpec:
    """What a renderer is and needs.

    Attributes:
        needs: signals of the driver that must be extracted.
        reference_needs: signals of the reference.
        size_multiple: width and height must be multiples of it.
        body_needs: signals of the driver that are extracted too where the reference shows a body that is to move (see
            `body_space`); a renderer that names any also takes a reference without a face.
        scene_needs: signals of the driver for ``--background driving``, of a renderer that puts the person into the driver's
            picture itself.
    """

    name: str
    version: str
    needs: tuple[str, ...]
    reference_needs: tuple[str, ...]
    size_multiple: int = 1
    body_needs: tuple[str, ...] = ()
    scene_needs: tuple[str, ...] = ()


class Renderer(Protocol):
    """Draws frames from a reference and controls in the reference's space. Opens no file."""

    spec: RendererSpec

    def prepare(self, reference: Reference, settings: RenderSettings) -> None:
        """Do what can be done before the controls are there; `render` does it if nobody asked for it."""

    def render(self, reference: Reference, controls: ControlStream, settings: RenderSettings) -> Iterator[U8]:
        """Yield frames (t, H, W, 3), or (t, H, W, 4) with ``settings.alpha``, `controls.num_frames` in all."""

    def close(self) -> None:
        """Give back memory and devices."""
