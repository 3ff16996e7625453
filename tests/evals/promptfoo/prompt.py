import json


def made(context):
    return json.dumps([{"role": "user", "content": "In " + context["vars"]["city"]}])
