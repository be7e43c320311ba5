"""What `import assent` gives, for editors and type checkers; a test holds it to the names of `__init__.py`."""

from assent.api import CollectConfig as CollectConfig
from assent.api import DPOConfig as DPOConfig
from assent.api import EvaluateConfig as EvaluateConfig
from assent.api import FinishedRun as FinishedRun
from assent.api import GRPOConfig as GRPOConfig
from assent.api import KTOConfig as KTOConfig
from assent.api import ModelConfig as ModelConfig
from assent.api import ORPOConfig as ORPOConfig
from assent.api import PPOConfig as PPOConfig
from assent.api import ReinforceConfig as ReinforceConfig
from assent.api import RewardConfig as RewardConfig
from assent.api import RLOOConfig as RLOOConfig
from assent.api import RunConfig as RunConfig
from assent.api import SFTConfig as SFTConfig
from assent.api import SimPOConfig as SimPOConfig
from assent.api import Source as Source
from assent.api import run as run
from assent.api import train as train

__version__: str
