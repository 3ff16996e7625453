"""Read by a Python program that `afere exec` starts, before its own code: lets afere see the libraries it uses.

This folder is first on PYTHONPATH then. A `sitecustomize` of the user's own still runs.
"""

import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

_HERE = str(Path(__file__).parent)
sys.path[:] = [place for place in sys.path if place != _HERE]
_own = sys.modules.pop("sitecustomize")
with suppress(ImportError):
    import_module("sitecustomize")
sys.modules.setdefault("sitecustomize", _own)  # the import that brought us here looks for it

try:
    _instrument = getattr(import_module("afere.tracing"), "instrument", None)
except ImportError:
    sys.stderr.write(
        f"afere: {sys.executable} does not have afere, so nothing inside the program is traced. "
        "Install it there with: pip install afere\n"
    )
else:
    if _instrument is not None:
        try:
            _instrument()
        except ImportError as problem:  # the extra is missing: the program runs, its libraries are not seen
            sys.stderr.write(f"afere: {problem}\n")
