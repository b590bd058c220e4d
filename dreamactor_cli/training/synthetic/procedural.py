"""People made of nothing but code."""

from __future__ import annotations

import numpy as np

from dreamactor_cli.training.synthetic.person import Person


class Procedural:
    """Makes persons without any asset."""

    def person(self, rng: np.random.Generator, texels: int) -> Person:
        """A dressed adult."""
        raise NotImplementedError
