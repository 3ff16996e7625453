"""Ask a model: one request in, a stream of events out. Knows nothing of stores or traces."""

from afere.models.asking import Collected as Collected
from afere.models.asking import Stream as Stream
from afere.models.asking import ask as ask
from afere.models.catalogue import declared_as as declared_as
from afere.models.catalogue import resolve as resolve
from afere.models.embedding import Embedder as Embedder
from afere.models.embedding import embedder as embedder
from afere.models.facts import Facts as Facts
from afere.models.facts import facts_of as facts_of
from afere.models.openai import LocalServer as LocalServer
from afere.models.openai import find_local_server as find_local_server
from afere.models.pace import Paces as Paces
from afere.models.request import Called as Called
from afere.models.request import Done as Done
from afere.models.request import Event as Event
from afere.models.request import Model as Model
from afere.models.request import Reasoning as Reasoning
from afere.models.request import Reply as Reply
from afere.models.request import Request as Request
from afere.models.request import Settings as Settings
from afere.models.request import Text as Text
from afere.models.tokens import count_tokens as count_tokens
