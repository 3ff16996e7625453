"""`afere demo`: the main job on real input. `story` tells it, `material` puts its files in place, `project/` holds them."""

from afere.cli.demo.story import demo as demo
