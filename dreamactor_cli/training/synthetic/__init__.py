"""People made by our own code, to train on: pictures with exact landmarks, pose, head, expression, skeleton, matte and depth.

A clip has two seeds. The identity's says who it is, what is worn, the light and the place; the motion's says what is done and
how the camera looks on. The same motion seed with another identity seed is an exact pair for cross-reenactment.
"""

from dreamactor_cli.training.synthetic.clip import BROWS, EYES, FACE, FPS, FRAMINGS, MOUTH, PERSON, SyntheticClip
from dreamactor_cli.training.synthetic.stream import generate, generate_clip

__all__ = ["BROWS", "EYES", "FACE", "FPS", "FRAMINGS", "MOUTH", "PERSON", "SyntheticClip", "generate", "generate_clip"]
