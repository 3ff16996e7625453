"""What is reached, and what is not: one small program for each way in which code finds code."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from example import Job, captured, write


@dataclass
class Case:
    """`app.py` (and other files) whose `qa` is captured; keys that must be parts, keys that must not, words of a note."""

    name: str
    app: str
    reached: tuple[str, ...] = ()
    not_reached: tuple[str, ...] = ()
    note: str = ""
    files: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


F = "function f in lib.py"
LIB = {"lib.py": "def f():\n    return 1\n\n\ndef g():\n    return 2\n\n\nK = 3\n"}

CASES = [
    Case("a star import", "from lib import *\ndef qa(): return f()\n", (F,), ("function g in lib.py",), files=LIB, names={"f": F}),
    Case("a star import that __all__ narrows", "from lib import *\ndef qa(): return f()\n", (), (F,), files={"lib.py": "__all__ = ['g']\n" + LIB["lib.py"]}),
    Case("a re-export of a re-export", "from pkg import f as h\ndef qa(): return h()\n", ("function f in pkg/deep.py",),
         files={"pkg/__init__.py": "from .mid import *\n", "pkg/mid.py": "from .deep import f\n", "pkg/deep.py": "def f(): return 1\n"}, names={"h": "function f in pkg/deep.py"}),
    Case("a relative import two packages up", "from pkg.sub.mod import qa\n", ("function f in pkg/lib.py",),
         files={"pkg/__init__.py": "", "pkg/lib.py": "def f(): return 1\n", "pkg/sub/__init__.py": "", "pkg/sub/mod.py": "from ..lib import f\ndef qa(): return f()\n"}),
    Case("a namespace package", "import space.inner.lib\ndef qa(): return space.inner.lib.f()\n", ("function f in space/inner/lib.py",), files={"space/inner/lib.py": LIB["lib.py"]}),
    Case("a package with a lazy __getattr__", "import pkg\ndef qa(): return pkg.f()\n", ("function __getattr__ in pkg/__init__.py",),
         files={"pkg/__init__.py": "def __getattr__(name):\n    from pkg.lib import f\n    return f\n", "pkg/lib.py": LIB["lib.py"]}),
    Case("an import inside a function", "def qa():\n    from lib import f as h\n    return h()\n", (F,), ("function g in lib.py",), files=LIB, names={"h": F}),
    Case("either of two imports", "try:\n    import nothing_of_that_name as m\nexcept ImportError:\n    import lib as m\ndef qa(): return m.f()\n", (F,), files=LIB),
    Case("the sources of both branches", "import sys\nif sys.platform == 'win32':\n    def h(): return a()\nelse:\n    def h(): return b()\ndef a(): return 1\ndef b(): return 2\ndef qa(): return h()\n",
         ("function a in app.py", "function b in app.py")),
    Case("type checking alone", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lib import f\ndef qa(x: 'f'): return 1\n", (), (F,), files=LIB),
    Case("a parameter of the same name", "from lib import f\ndef qa(f): return [g for g in f]\ndef g(): return 1\n", (), (F, "function g in app.py"), files=LIB),
    Case("a name bound by a comprehension, a with, an except and a walrus",
         "def a(): pass\ndef b(): pass\ndef c(): pass\ndef d(): pass\ndef qa(x):\n    with x as b:\n        try:\n            return [a for a in b] + (d := [])\n        except ValueError as c:\n            return c, d\n",
         (), ("function a in app.py", "function b in app.py", "function c in app.py", "function d in app.py")),
    Case("a class attribute is not seen by its methods", "from lib import f, g\nclass C:\n    f = 1\n    def m(self): return f()\ndef qa(): return C().m()\n", (F, "method C.m in app.py"), ("function g in lib.py",), files=LIB),
    Case("a default, a decorator and a base class", "import lib\ndef d(x): return x\n@d\ndef h(x=lib.f()): return x\nclass B: pass\nclass C(B): pass\ndef qa(): return h(), C\n", ("function d in app.py", F, "class B in app.py"), files=LIB),
    Case("getattr with a literal", "import lib\ndef qa(): return getattr(lib, 'f')()\n", (F,), files=LIB),
    Case("getattr with a computed name", "import lib\ndef qa(n): return getattr(lib, n)()\n", (F, "function g in lib.py", "constant K in lib.py"), note="lib.py is used as a value; the whole module counts", files=LIB),
    Case("a module handed on", "import lib\ndef qa(run): return run(lib)\n", (F, "constant K in lib.py"), note="the whole module counts", files=LIB),
    Case("import_module of a literal", "import importlib\ndef qa(): return importlib.import_module('lib').f()\n", (F,), note="imported by name", files=LIB),
    Case("import_module of anything", "import importlib\ndef qa(x): return importlib.import_module(x)\n", note="imports a module by a computed name"),
    Case("all modules of a package", "import importlib, pkgutil\nimport plugins\ndef qa():\n    return [importlib.import_module('plugins.' + m.name) for m in pkgutil.iter_modules(plugins.__path__)]\n", ("function f in plugins/one.py",), note="plugins/one.py can be imported", files={"plugins/__init__.py": "", "plugins/one.py": LIB["lib.py"]}),
    Case("eval", "def a(): return 1\ndef qa(x): return eval(x)\n", ("function a in app.py",), note="is open to eval"),
    Case("globals", "def a(): return 1\ndef qa(x): return globals()[x]()\n", ("function a in app.py",), note="is open to globals"),
    Case("module:attribute in a text", "def load(x): pass\ndef qa(): return load('lib:f')\n", (F,), ("function g in lib.py",), files=LIB),
    Case("a file beside the module, put together", "from pathlib import Path\ndef qa(): return (Path(__file__).parent / 'data' / 'a.txt').read_text()\n", ("file data/a.txt",), files={"data/a.txt": "x"}),
    Case("a file named by a constant", "PATH = 'data/a.txt'\ndef qa(): return open(PATH).read()\n", ("file data/a.txt",), files={"data/a.txt": "x"}),
    Case("a file that is written", "def qa(): open('data/a.txt', 'w').write('x')\n", (), ("file data/a.txt",), files={"data/a.txt": "x"}),
    Case("a file by a computed name", "def qa(x): return open(x + '.txt').read()\n", note="opens a file by a computed name"),
    Case("a folder that is listed", "from pathlib import Path\ndef qa(): return [p.read_text() for p in Path('data').glob('*.txt')]\n", ("file data/a.txt",), files={"data/a.txt": "x"}),
    Case("a decorator that is a method of a reached object", "class R:\n    def __init__(self): self.all = []\n    def add(self, f): self.all.append(f); return f\nR1 = R()\nR2 = R()\n@R1.add\ndef a(): return 1\n@R2.add\ndef b(): return 2\ndef qa(): return R1.all\n", ("function a in app.py",), ("function b in app.py",)),
    Case("singledispatch", "from functools import singledispatch\n@singledispatch\ndef h(x): return 1\n@h.register\ndef _(x: int): return 2\ndef qa(x): return h(x)\n", ("function _ in app.py",)),
    Case("subclasses that announce themselves", "class B:\n    all = []\n    def __init_subclass__(cls): B.all.append(cls)\nclass C(B): pass\nclass D: pass\ndef qa(): return B.all\n", ("class C in app.py",), ("class D in app.py",)),
    Case("subclasses that are asked for", "class B: pass\nclass C(B):\n    def m(self): return 1\ndef qa(): return B.__subclasses__()\n", ("method C.m in app.py",)),
    Case("a registry filled by another module that is imported", "import fill\nfrom reg import ALL\ndef qa(): return ALL\n", ("function a in fill.py", "function add in reg.py"), ("function b in fill.py",),
         files={"reg.py": "ALL = []\ndef add(f):\n    ALL.append(f)\n    return f\n", "fill.py": "from reg import add\n@add\ndef a(): return 1\ndef b(): return 2\n"}),
    Case("a method is found by what the class inherits", "from lib2 import B\nclass C(B): pass\ndef qa(): return C().m()\n", ("method B.m in lib2.py", "function h in lib2.py"), files={"lib2.py": "class B:\n    def m(self): return h()\ndef h(): return 1\n"}),
    Case("an import effect and what it calls", "import start\ndef qa(): return 1\n", ("import effect 1 in start.py", "function go in start.py"), ("function stay in start.py",), files={"start.py": "def go(): pass\ndef stay(): pass\ngo()\n"}),
    Case("C extensions", "def qa():\n    import fast\n    return fast.f()\n", ("file fast.so",), files={"fast.so": "x"}),
    Case("a prompt that is named by a constant", "import afere\nP = 'prompts/a.md'\ndef qa(): return afere.prompt(P)()\n", ("constant P in app.py",), ("file prompts/a.md",), files={"prompts/a.md": "---\nmodel: openai:x\n---\nHello\n"}),
    Case("a project of its own beside src", "def qa():\n    from inner.lib import f\n    return f()\n", ("function f in src/inner/lib.py",), files={"src/inner/lib.py": LIB["lib.py"]}),
    Case("a lambda as the chain", "from lib import f\nqa = lambda: f()\n", (F, "constant qa in app.py"), files=LIB),
    Case("a loop that binds and registers", "from lib import f\nALL = {}\nfor name in ('a', 'b'):\n    ALL[name] = f\ndef qa(): return ALL\n", (F, "import effect 1 in app.py"), files=LIB),
    Case("match and its names", "from lib import f, g\ndef qa(x):\n    match x:\n        case {'a': f, **g}: return f, g\n", (), (F, "function g in lib.py"), files=LIB),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_reaches(tmp_path: Path, case: Case) -> None:
    root = write(tmp_path / "p", {"afere.yaml": "project: p\n", "app.py": case.app, **case.files})
    (found,) = captured(Job(root, "app:qa"))
    parts = found["content"]["parts"]
    assert set(case.reached) <= set(parts)
    assert not set(case.not_reached) & set(parts)
    assert not case.note or any(case.note in note for note in found["notes"]), found["notes"]
    for name, meaning in case.names.items():
        assert parts["function qa in app.py"]["names"][name] == meaning
