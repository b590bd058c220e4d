"""How fast this machine does what: learnt from real runs, kept in the cache's folder, used for estimates and nothing else.

``ROOT/rates.json`` holds ``{"format": 1, "rates": {NAME: [UNITS, COST]}}``. What is newer counts more. Losing the file, or one of
two that are written at once, costs an estimate its accuracy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dreamactor_cli.atomic import replacing
from dreamactor_cli.errors import DreamActorError

FORMAT = 1
FADE = 0.7  # weight that what was learnt before keeps when something new is learnt

# Cost of a unit before anything was measured, on one core of a 2.5 GHz Xeon. Seconds a frame for extraction, a picture and a
# job's own overhead; seconds, and bytes, a million pixels for what grows with them; bytes a frame for signals.
DEFAULTS: Mapping[str, float] = {
    "extract clip": 0.05, "extract picture": 0.5, "extract sound": 0.01, "signals": 14e3,
    "render": 0.12, "job": 0.1, "output": 40e3,
}  # fmt: skip


class Learnt(NamedTuple):
    """What a run found out: ``units`` of ``name`` cost ``cost``, in seconds or bytes."""

    name: str
    units: float
    cost: float


class Rates:
    """Cost of a unit, by name.

    A name may be more precise than what is known: ``"render geometry"`` falls back to ``"render"``.
    """

    def __init__(self, sums: Mapping[str, tuple[float, float]] | None = None) -> None:
        self._sums = dict(sums or {})

    def cost(self, name: str, units: float) -> float:
        """What ``units`` of ``name`` will cost."""
        known = name
        while known and known not in self._sums and known not in DEFAULTS:
            known = known.rpartition(" ")[0]
        if known in self._sums:
            have, paid = self._sums[known]
            return units * paid / have
        return units * DEFAULTS[known]

    def with_(self, learnt: Iterable[Learnt]) -> Rates:
        """These rates and what was learnt since."""
        fresh: dict[str, tuple[float, float]] = {}
        for name, units, cost in learnt:
            if units > 0 and cost >= 0 and math.isfinite(units) and math.isfinite(cost):
                have, paid = fresh.get(name, (0.0, 0.0))
                fresh[name] = (have + units, paid + cost)
        sums = dict(self._sums)
        for name, (units, cost) in fresh.items():
            have, paid = sums.get(name, (0.0, 0.0))
            sums[name] = (FADE * have + units, FADE * paid + cost)
        return Rates(sums)

    def as_record(self) -> dict[str, list[float]]:
        """As in the file."""
        return {name: [round(value, 6) for value in pair] for name, pair in sorted(self._sums.items())}


def load_rates(root: Path) -> Rates:
    """The rates that are kept in a cache's folder; whatever is damaged counts as not there."""
    try:
        record = json.loads(_file(root).read_text("utf-8"))
        if record["format"] != FORMAT:
            return Rates()
        sums = {str(name): (float(units), float(cost)) for name, (units, cost) in record["rates"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return Rates()
    return Rates({name: pair for name, pair in sums.items() if pair[0] > 0 <= pair[1] and all(map(math.isfinite, pair))})


def learn(root: Path, learnt: Iterable[Learnt]) -> None:
    """Add what a run found out to what is kept. A folder that cannot be written stays as it is: nothing depends on it."""
    rates = load_rates(root).with_(learnt)
    text = json.dumps({"format": FORMAT, "rates": rates.as_record()}, indent=1) + "\n"
    with suppress(DreamActorError, OSError):
        root.mkdir(parents=True, exist_ok=True)
        with replacing(_file(root)) as beside:
            beside.write_text(text, "utf-8")


def _file(root: Path) -> Path:
    return root / "rates.json"
