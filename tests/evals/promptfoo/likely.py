"""A provider that says how likely its words were: the var `odds`, a probability for each."""

import math


def call_api(prompt, options, context):
    odds = context["vars"].get("odds")
    made = {"output": prompt}
    return made if odds is None else {**made, "logProbs": [math.log(one) for one in odds]}
