"""From picture files to a `contracts.Reference`: loaded, analysed once (cached), and framed to the output's size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from dreamactor_cli.body_space import denies_face, shows_body
from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import F32, U8, Controls, Reference, Signal
from dreamactor_cli.controls_file import StoredControls, stream_metadata, write_signal
from dreamactor_cli.errors import InputRefused, NoPersonFound
from dreamactor_cli.head_space import NOSE_TIP
from dreamactor_cli.media import load_image, sha256_file
from dreamactor_cli.retarget.framing import frame_reference, framed_size
from dreamactor_cli.retarget.hands import settled as settled_hands
from dreamactor_cli.retarget.skeleton import px_per_metre, settled
from dreamactor_cli.retarget.stand_in import with_stand_in

MIN_SIDE = 64  # px; below it no face can be told from noise
ANALYSIS_VERSION = "7"
STILL_FPS = Fraction(1)
SIGNALS = ("face", "head", "body", "hands", "matte")
_ANALYSIS = "analysis"  # name in the metadata of what one analysis found: the sha256 of all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedReference:
    """A reference, and what was noticed on the way.

    Attributes:
        cache_hits: signals that were read and not made.
        nobody: pictures, by number, that show neither a face nor a body.
    """

    reference: Reference
    cache_hits: int
    warnings: tuple[str, ...]
    nobody: tuple[int, ...] = ()

    def check(self, paths: Sequence[Path], *, bodies: bool) -> None:
        """Refuse pictures that cannot be used.

        Args:
            paths: of the pictures.
            bodies: a picture may show a body without a face.

        Raises:
            NoPersonFound: a picture shows nobody, or no face where one is needed.
        """
        for number in self.nobody:
            what = f"no face was found in {paths[number]}, and no body"
            raise NoPersonFound(what, "give a picture that shows a person, or its joints with --skeleton")
        if not bodies and self.reference.controls.face is None:
            raise NoPersonFound(f"no face was found in {paths[0]}", "give a picture that shows the person's face")


def load_reference(paths: Sequence[Path], *, size: str, cache: Cache, skeleton: Path | None = None) -> LoadedReference:
    """Load and analyse the pictures of one person; the first sets the size.

    Face and head are None where the first picture shows a body only, or nobody: see `LoadedReference.check`.

    Args:
        size: ``"source"`` or ``"WxH"``, px.
        skeleton: a file with the body of the first picture, in place of what is detected; see `skeleton_file`.

    Raises:
        UnreadableInput, UnsafeInput: a picture, or the skeleton, cannot be used.
        UsageError: the skeleton does not go with the picture.
        InputRefused: it is too small.
    """
    place = _skeleton_from(skeleton) if skeleton is not None else None
    warnings: list[str] = []
    framed: list[Reference] = []
    nobody: list[int] = []
    hits = 0
    width = height = 0
    for number, path in enumerate(paths):
        loaded = load_image(path)
        warnings += loaded.warnings
        if min(loaded.rgb.shape[:2]) < MIN_SIDE:
            high, wide = loaded.rgb.shape[:2]
            raise InputRefused(f"{path} is only {wide}x{high} px", f"give a picture of at least {MIN_SIDE} px a side")
        controls, matte, hit = _analyse(path, loaded.rgb, cache, warnings)
        hits += hit
        if place is not None and not framed:
            controls = place(controls, str(path))
        nobody += [number] * (controls.face is None and not shows_body(controls.body, controls.width, controls.height))
        if not framed:
            width, height = framed_size(size, loaded.rgb.shape[1], loaded.rgb.shape[0])
        if loaded.alpha is not None:
            matte = np.minimum(matte, loaded.alpha[None].astype(np.float32) / 255)
        one = Reference(images=loaded.rgb[None], controls=controls, matte=matte)
        framed.append(frame_reference(one, width, height))
    return LoadedReference(reference=_settled(_stack(framed)), cache_hits=hits, warnings=tuple(warnings), nobody=tuple(nobody))


def _skeleton_from(file: Path) -> Callable[[Controls, str], Controls]:
    """What puts the skeleton of a file into the controls of a picture, which has a name."""
    from dreamactor_cli.skeleton_file import read_skeleton, with_skeleton

    given = read_skeleton(file)
    return lambda controls, name: with_skeleton(controls, given, name)


def _settled(reference: Reference) -> Reference:
    """The reference with a body and hands whose depth agrees with what is seen of them; see `body_space`."""
    controls = reference.controls
    if controls.body is None:
        return reference
    body, hands = settled(controls.body), controls.hands
    if hands is not None:
        frame = (a[:1].astype(np.float64) for a in (body.joints_2d, body.joints_3d, body.score))
        hands = settled_hands(hands, max(float(px_per_metre(*frame)[0]), 1e-6))
    return replace(reference, controls=replace(controls, body=body, hands=hands))


def is_known(sha256: str, cache: Cache) -> bool:
    """Whether a picture has been analysed, by the sha256 of its bytes."""
    return bool(_stored(sha256, cache))


def known_controls(sha256: str, cache: Cache) -> Controls | None:
    """What the cache knows of a picture; None if it has not been analysed yet.

    Args:
        sha256: of the picture's bytes.
    """
    stored = _stored(sha256, cache)
    return _read(stored) if stored else None


def _stored(sha256: str, cache: Cache) -> dict[str, Path]:
    """The cache's files of one analysis of a picture; none if there is no whole one.

    Machines that share a cache may see the same picture a little differently. So the face says which analysis it is of, and the
    other signals are looked up under that name: a face never gets the head of another analysis.
    """
    face = cache.get(_key(sha256, "face"))
    if face is None:
        return {}
    analysis = StoredControls.open({"face": face}).metadata.get(_ANALYSIS, "")
    others = {name: cache.get(_key(sha256, name, analysis)) for name in SIGNALS if name != "face"}
    found = {name: file for name, file in others.items() if file is not None}
    return {"face": face, **found} if found.keys() == others.keys() else {}


def _key(sha256: str, name: str, analysis: str = "") -> str:
    parameters = {"analysis": analysis} if analysis else {}
    return Cache.signal_key(
        input_sha256=sha256, window="still", fps=STILL_FPS, extractor=name, version=ANALYSIS_VERSION, parameters=parameters
    )


def _read(stored: Mapping[str, Path]) -> Controls:
    """Signals of a picture; a face that was not found is stored with score 0, so that nobody takes it for a lost entry."""
    controls = StoredControls.open({name: file for name, file in stored.items() if name != "matte"}).window(0, 1)
    return _trusted(controls)


def _trusted(controls: Controls) -> Controls:
    """Signals of a picture without a face that is none."""
    face, head = controls.face, controls.head
    if face is None or head is None or not face.score[0]:
        return replace(controls, face=None, head=None)
    nose, radius = face.landmarks[0, NOSE_TIP, :2], float(head.radius[0])
    denied = denies_face(controls.body, nose, radius, controls.width, controls.height)
    return replace(controls, face=None, head=None) if denied else controls


def _analyse(path: Path, image: U8, cache: Cache, warnings: list[str]) -> tuple[Controls, F32, int]:
    """Signals (T = 1) and matte (1, H, W) of a picture, and how many of them were in the cache."""
    sha256 = sha256_file(path)
    stored = _stored(sha256, cache)
    if stored:
        return _read(stored), _read_matte(stored["matte"], image), len(stored)
    from dreamactor_cli.controls.extract import image_controls

    controls, matte = image_controls([image], names=[str(path)], on_warning=warnings.append, anybody=False)
    levels = np.rint(matte * 255).astype(np.uint8)
    known = {name: signal for name, signal in with_stand_in(controls).signals().items() if name in SIGNALS}
    _store(sha256, {**known, "matte": levels}, controls.width, controls.height, cache)
    # The same values as a later run reads from the cache: the same bytes come out.
    return _trusted(controls), levels.astype(np.float32) / 255, 0


def _store(sha256: str, signals: Mapping[str, Signal | U8], width: int, height: int, cache: Cache) -> None:
    """Keep an analysis of a picture; the face last, since by it the rest is found."""
    digest = hashlib.sha256()
    for signal in signals.values():
        for array in (signal,) if isinstance(signal, np.ndarray) else signal.arrays().values():
            digest.update(array.tobytes())
    analysis = digest.hexdigest()
    metadata = stream_metadata(fps=STILL_FPS, width=width, height=height, source_sha256=sha256) | {_ANALYSIS: analysis}
    for name in sorted(signals, key=lambda name: name == "face"):
        key = _key(sha256, name, "" if name == "face" else analysis)
        cache.put(key, lambda to, name=name: write_signal(to, name, signals[name], metadata))  # type: ignore[misc]


def _read_matte(path: Path, image: U8) -> F32:
    reader = StoredControls.open({"matte": path}).matte
    assert reader is not None  # it is the only signal in the file
    matte = reader.window(0, 1)[0].astype(np.float32) / 255
    if matte.shape != image.shape[:2]:
        matte = np.asarray(cv2.resize(matte, image.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    return matte[None]


def _stack(parts: Sequence[Reference]) -> Reference:
    """References of one picture each, all of one size, as one; the identity's controls stand first."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].controls.face is not None:  # another view may show the person from behind
        parts = [replace(part, controls=with_stand_in(part.controls)) for part in parts]
    shared = [name for name in parts[0].controls.signals() if all(name in p.controls.signals() for p in parts)]
    first = parts[0].controls
    joined = {}
    for name in shared:
        signals = [p.controls.signals()[name] for p in parts]
        arrays = {}
        for field, shape in signals[0].SHAPES.items():
            values = [s.arrays()[field] for s in signals]
            arrays[field] = np.concatenate(values) if shape[0] == "T" else values[0]
        if name == "face":
            # One identity for all views: what differs from it counts as expression.
            own = np.stack([s.arrays()["identity"] + s.arrays()["expression"][0] for s in signals])
            arrays["expression"] = (own - arrays["identity"]).astype(np.float32)
        joined[name] = type(signals[0])(**arrays)
    controls = Controls(num_frames=len(parts), fps=STILL_FPS, width=first.width, height=first.height, **joined)  # type: ignore[arg-type]
    return Reference(
        images=np.concatenate([p.images for p in parts]), controls=controls, matte=np.concatenate([p.matte for p in parts])
    )
