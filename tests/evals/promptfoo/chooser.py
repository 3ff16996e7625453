"""A grader that needs no model: it selects the first output in which the first word of the criteria stands."""

import re


def call_api(prompt, options, context):
    found = dict(re.findall(r"\[(\d)\] (.*)", prompt))
    wanted = prompt.split("Criteria:")[1].split()[0]
    places = [place for place, text in found.items() if wanted in text]
    return {"output": f"It is {places[0]}." if places else "None of them."}
