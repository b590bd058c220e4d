"""What a worker keeps between jobs, so that it is not loaded for each: a renderer and a few references."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from threadpoolctl import threadpool_limits

from dreamactor_cli.cache import Cache
from dreamactor_cli.contracts import Reference, Renderer
from dreamactor_cli.media import sha256_file
from dreamactor_cli.reference import LoadedReference, load_reference
from dreamactor_cli.renderers import load_renderer

MOST_REFERENCES = 16
MOST_BYTES = 512 << 20  # of pictures and mattes; the newest reference stays whatever its size


class Kept:
    """One renderer at a time, and the references that were used last."""

    def __init__(self) -> None:
        self._name = ""
        self._renderer: Renderer | None = None
        self._references: OrderedDict[tuple[str, ...], LoadedReference] = OrderedDict()

    def renderer(self, name: str) -> Renderer:
        """A renderer by name; another one is closed first.

        Raises:
            UsageError: there is none of this name.
        """
        if self._renderer is None or self._name != name:
            self.drop_renderer()
            self._renderer, self._name = load_renderer(name), name
        return self._renderer

    def drop_renderer(self) -> None:
        """Close the renderer, which after an error may be in any state."""
        renderer, self._renderer = self._renderer, None
        if renderer is not None:
            renderer.close()

    def reference(
        self,
        paths: Sequence[Path],
        sha256: Sequence[str],
        *,
        size: str,
        cache: Cache,
        skeleton: Path | None = None,
    ) -> LoadedReference:
        """As `reference.load_reference`, of which it raises the errors.

        Args:
            sha256: of the files; what is kept is known by it and not by names.
        """
        key = (size, *sha256, sha256_file(skeleton) if skeleton is not None else "")
        kept = self._references.get(key)
        if kept is None:
            with threadpool_limits(1):  # how a library spreads a sum over threads must not show in the output
                kept = load_reference(paths, size=size, cache=cache, skeleton=skeleton)
            self._references[key] = replace(kept, cache_hits=len(kept.reference.controls.signals()) + 1)
            self._forget()
            return kept
        self._references.move_to_end(key)
        return kept

    def close(self) -> None:
        """Give everything back."""
        self.drop_renderer()
        self._references.clear()

    def _forget(self) -> None:
        """Drop the references that were not used for longest."""
        while len(self._references) > 1 and (
            len(self._references) > MOST_REFERENCES or sum(_bytes(r.reference) for r in self._references.values()) > MOST_BYTES
        ):
            self._references.popitem(last=False)


def _bytes(reference: Reference) -> int:
    return reference.images.nbytes + reference.matte.nbytes
