"""A provider: it answers from a small table, by the `as` var, else with the prompt."""

ANSWERS = {
    "json": '{"city": "Paris", "people": 2100000}',
    "mixed": 'Here you are: {"city": "Paris"} and more.',
    "list": "[1, 2, 3]",
    "short": "Paris",
    "long": "Paris is the capital of France and lies on the Seine",
    "calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}],
}


def call_api(prompt, options, context):
    said = ANSWERS.get(context["vars"].get("as"), prompt)
    return {"output": said, "cost": 0.002, "tokenUsage": {"total": 7, "prompt": 3, "completion": 4}}


def shout(prompt, options, context):
    return {"output": prompt.upper() + options["config"].get("mark", "")}
