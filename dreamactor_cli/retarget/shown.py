"""What of a body both the picture and the driver show: only that is driven, and the user is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dreamactor_cli.body_space import HIPS, KNEES, SHOULDERS
from dreamactor_cli.retarget.skeleton import BONES

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """Which bones follow the driver.

    Attributes:
        bones: that do, (21,).
        hips: both show hips: travel is theirs, else the shoulders'.
        stands: the picture shows legs that the driver does not move: they stay where they stand.
        whole: both show legs: feet are kept from sliding.
        notices: what the user should know.
    """

    bones: Mask
    hips: bool
    stands: bool
    whole: bool
    notices: tuple[str, ...]


def driven(picture: Mask, driver: Mask, region: Sequence[str], guessed: Mask | None = None) -> Driven:
    """What follows the driver.

    Args:
        picture, driver: joints that each shows, (33,).
        region: of the preset.
        guessed: joints of which the picture tells about where they are, (33,): a limb of which an end is shown moves.
    """
    body, hands = "all" in region or "body" in region, "all" in region or "hands" in region
    asked = np.array([hands if bone.part == "hands" else body for bone in BONES])
    guessed = picture if guessed is None else guessed | picture
    seen = {name: np.array([shown[[*b.start, *b.stop]].all() for b in BONES]) for name, shown in (("it", picture), ("d", driver))}
    # The torso needs no hips: a portrait's shoulders turn it too.
    torso = np.array([bone.part == "torso" for bone in BONES])
    shoulders = bool(picture[list(SHOULDERS)].all() and driver[list(SHOULDERS)].all())
    limb = np.array([guessed[[*b.start, *b.stop]].all() and picture[[*b.start, *b.stop]].any() for b in BONES])
    bones = asked & np.where(torso, shoulders, limb & seen["d"])
    legs = [bool(shown[list(HIPS + KNEES)].all()) for shown in (picture, driver)]
    hips = bool(picture[list(HIPS)].all() and driver[list(HIPS)].all())
    return Driven(
        bones=bones, hips=hips, stands=legs[0] and not legs[1], whole=body and all(legs),
        notices=_notices(seen["it"], seen["d"], asked),
    )  # fmt: skip


def _notices(picture: Mask, driver: Mask, asked: Mask) -> tuple[str, ...]:
    """What differs between what picture and driver show."""
    still, spare, used = [], [], []
    for part in ("arms", "hands", "legs"):
        mine = np.array([bone.part == part for bone in BONES]) & asked
        if not mine.any():
            continue
        shown, moved = bool((picture & mine).any()), bool((driver & mine).any())
        used += [part] if shown and moved else []
        still += [part] if shown and not moved else []
        spare += [part] if moved and not shown else []
    if not still and not spare:
        return ()
    told = [f"the driver does not show {_listed(still, 'or')}, which stay at rest"] if still else []
    told += [f"the picture does not show the driver's {_listed(spare, 'or')}"] if spare else []
    return (f"driver and picture are framed differently: {_listed(['head', 'torso', *used], 'and')} move; {'; '.join(told)}",)


def _listed(names: Sequence[str], last: str) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
