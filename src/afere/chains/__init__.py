"""What the user builds: prompts, components, chains, tools and agents; their revisions; running over rows; replay."""

from afere.chains.agent import Agent as Agent
from afere.chains.agent import agent as agent
from afere.chains.chain import Chain as Chain
from afere.chains.chain import Run as Run
from afere.chains.chain import chain as chain
from afere.chains.component import Component as Component
from afere.chains.declaring import prompt as prompt
from afere.chains.replay import replay as replay
from afere.chains.resolving import resolve_chain as resolve_chain
from afere.chains.tool import Tool as Tool
from afere.chains.tool import tool as tool
