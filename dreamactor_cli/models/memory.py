"""What is given up when memory runs out: one thing after the other, each said aloud.

First the pictures are decoded in tiles, then the transformer waits in the computer's memory and comes to the device block by
block, then segments become shorter. The first changes pixels a little, the second none, the third another clip comes out.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from dreamactor_cli.errors import OutOfMemory

Result = TypeVar("Result")
SHORTEST = 9  # frames of a segment, below which none is cut


class Ladder:
    """The steps that are taken when memory runs out.

    Args:
        tell: is told what was done, in a sentence.
        frames: of the longest segment.
        can_offload: whether the device has memory of its own.
        taken: steps to take before anything has run out, because it did so before.
        shared: several processes draw one clip and must take the same steps, so that none is taken on the way.
    """

    def __init__(
        self, tell: Callable[[str], None], *, frames: int, can_offload: bool, taken: int = 0, shared: bool = False
    ) -> None:
        self._tell, self._shared = tell, shared
        self.frames, self.taken = frames, taken
        self.tiled = self.offloaded = False
        self._can_offload = can_offload
        for _ in range(taken):
            self.climb("memory ran out before")

    def attempt(self, action: Callable[[], Result]) -> Result:
        """Do something; when memory runs out, give something up and do it again.

        Raises:
            OutOfMemory: there is nothing left to give up, or the clip is shared.
        """
        while True:
            try:
                return action()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                said = f"memory ran out ({str(error).splitlines()[0][:120] if str(error) else type(error).__name__})"
            # Outside of the handler, where the error no longer holds the frames that hold the memory.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if self._shared:
                raise OutOfMemory(f"{said}, on a clip that devices share", "ask for a smaller --size or --segment-frames")
            self.climb(said)

    def climb(self, why: str) -> None:
        """Take the next step.

        Raises:
            OutOfMemory: there is none left.
        """
        if not self.tiled:
            self.tiled = True
            self._tell(f"{why}: pictures are decoded in tiles, whose borders may show as a slight change of pixels")
        elif self._can_offload and not self.offloaded:
            self.offloaded = True
            self._tell(f"{why}: the model waits in the computer's memory, which is slower and changes nothing else")
        elif self.frames > SHORTEST:
            self.frames = max(SHORTEST, (self.frames - 1) // 8 * 4 + 1)
            self._tell(f"{why}: segments have {self.frames} frames now, and the result is another than with enough memory")
        else:
            raise OutOfMemory(f"{why}, with tiles and segments of {self.frames} frames", "ask for a smaller --size")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or Python says that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and ("can't allocate memory" in str(error) or "not enough memory" in str(error))
