"""What Microsoft's own package makes of the .prompty files here: pip install 'prompty[jinja2,mustache]', then
python record.py > prompty.json
"""

import json
from pathlib import Path

import prompty

HERE = Path(__file__).parent
recorded = {}
for file, inputs in json.loads((HERE / "inputs.json").read_text()).items():
    if file.endswith(".prompty"):
        agent = prompty.load(HERE / file)
        runs = [[[one.role, one.text.strip()] for one in prompty.prepare(agent, given)] for given in inputs]
        options = agent.model.options.save() if agent.model and agent.model.options else {}
        inputs_there = {one.name: one.save() for one in agent.inputs or []}
        recorded[file] = {"model": agent.model.id, "options": options, "inputs": inputs_there, "messages": runs}
print(json.dumps(recorded, indent=1))
