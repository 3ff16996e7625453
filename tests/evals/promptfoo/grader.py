"""A grader that needs no model: an output that holds Paris is good, by 0.9."""

import json
import re


def call_api(prompt, options, context):
    fenced = re.findall(r"<output>(.*?)</output>", prompt, re.IGNORECASE | re.DOTALL)
    output = fenced[-1] if fenced else prompt.split("Output:")[-1]
    good = "Paris" in output
    return {
        "output": json.dumps({"reason": "seen" if good else "not seen", "pass": good, "score": 0.9 if good else 0.2})
    }
