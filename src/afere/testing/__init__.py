"""What tests of applications need: a scripted model, and a real HTTP server that speaks the OpenAI protocol."""

from afere.testing.openai_server import Asked as Asked
from afere.testing.openai_server import OpenAIServer as OpenAIServer
from afere.testing.scripted import Answer as Answer
from afere.testing.scripted import Fault as Fault
from afere.testing.scripted import ScriptedModel as ScriptedModel
