"""What promptfoo's YAML says, as plans: `afere eval promptfooconfig.yaml`."""

from afere.evals.promptfoo.config import Config as Config
from afere.evals.promptfoo.config import is_promptfoo as is_promptfoo
from afere.evals.promptfoo.config import read_config as read_config
from afere.evals.promptfoo.grading import NOTHING_RAN as NOTHING_RAN
