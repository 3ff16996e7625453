def get_assert(output, context):
    return {"pass": context["vars"]["city"] in output, "score": 0.75, "reason": "looked for the city"}


def short(output, context):
    return len(output) < context.get("config", {}).get("most", 10)


def share(output, context):
    return 0.4
