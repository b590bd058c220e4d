"""Every dataclass that crosses a seam. Numpy only; nothing here does I/O.

Conventions: RGB uint8 frames (T, H, W, 3), RGBA (T, H, W, 4) with straight alpha; pixels x right, y down,
pixel centres at integers, origin at the top left; metres; seconds; frame rates are `fractions.Fraction`;
rotations (3, 3) with camera x right, y down, z forward. Shapes stand beside each field; T is the number of frames.
"""

from dreamactor_cli.arkit import BLENDSHAPES as BLENDSHAPES
from dreamactor_cli.contracts.job import BACKGROUNDS as BACKGROUNDS
from dreamactor_cli.contracts.job import REGIONS as REGIONS
from dreamactor_cli.contracts.job import Finding as Finding
from dreamactor_cli.contracts.job import Job as Job
from dreamactor_cli.contracts.job import JobError as JobError
from dreamactor_cli.contracts.job import JobKind as JobKind
from dreamactor_cli.contracts.job import Preset as Preset
from dreamactor_cli.contracts.job import RenderResult as RenderResult
from dreamactor_cli.contracts.job import Status as Status
from dreamactor_cli.contracts.rendering import Renderer as Renderer
from dreamactor_cli.contracts.rendering import RendererSpec as RendererSpec
from dreamactor_cli.contracts.rendering import RenderSettings as RenderSettings
from dreamactor_cli.contracts.rendering import Scene as Scene
from dreamactor_cli.contracts.rendering import ScenePart as ScenePart
from dreamactor_cli.contracts.signals import F32 as F32
from dreamactor_cli.contracts.signals import SPEECH_CHANNELS as SPEECH_CHANNELS
from dreamactor_cli.contracts.signals import U8 as U8
from dreamactor_cli.contracts.signals import Appearance as Appearance
from dreamactor_cli.contracts.signals import Body as Body
from dreamactor_cli.contracts.signals import Controls as Controls
from dreamactor_cli.contracts.signals import ControlStream as ControlStream
from dreamactor_cli.contracts.signals import Face as Face
from dreamactor_cli.contracts.signals import Hands as Hands
from dreamactor_cli.contracts.signals import Head as Head
from dreamactor_cli.contracts.signals import Reference as Reference
from dreamactor_cli.contracts.signals import Signal as Signal
from dreamactor_cli.contracts.signals import Space as Space
from dreamactor_cli.contracts.signals import Speech as Speech
