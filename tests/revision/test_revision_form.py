"""The canonical form of code: one on every Python, in every layout, and another for every change."""

from __future__ import annotations

import ast
import copy
import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afere.chains.revision import canonical_form
from afere.chains.revision.canonical_form import form_text, forms, is_secret, mask_secrets

LIBRARY = Path(ast.__file__).parent
MODULES = (
    "ast",
    "dataclasses",
    "enum",
    "functools",
    "inspect",
    "string",
    "textwrap",
    "typing",
    "asyncio/tasks",
    "json/decoder",
)

SOURCE = '''
@decorate(level=1_000)
async def f[0](a, /, b: int = 0x10, *c, d=1e3, **e) -> "str":
    """Docs."""
    x: list[int] = [i async for i in a if (i := b)]
    async with a as q, b: pass
    match x:
        case {"k": [1, *rest], **more} if more: return rf"{x!r:>{b}} a" f"b{x=}" "c"
        case A(y=-1.5) | None | True: ...
    try:
        return lambda z=2j: (yield_, not z, a[1:2, ...], b"\\\\xff", "\\\\ud800é")
    except* (ValueError, TypeError) as error:
        raise error from None
    finally:
        del q
    global g; from .m import (n as o, p); assert a, "no"
'''.replace("[0]", "")

SCRIPT = """
import ast, hashlib, json, sys
sys.path.insert(0, sys.argv[1])
import canonical_form as c
found = {}
for path in sys.argv[2:]:
    try:
        tree = ast.parse(open(path, encoding="utf-8").read())
    except SyntaxError:  # written for a later Python
        continue
    text = c.form_text([tree], prose=True)
    found[path] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
print(json.dumps(found))
"""


def other_pythons() -> list[str]:
    named = [shutil.which(f"python3.{minor}") for minor in (11, 12, 13, 14)]
    managed = [str(path) for path in Path.home().glob(".pyenv/versions/3.1[1-9].*/bin/python")]
    tell = "import os, sys; print(os.path.realpath(sys.executable))"
    asked = [
        subprocess.run([path, "-c", tell], capture_output=True, text=True, check=False)
        for path in sorted({str(Path(path).resolve()) for path in [*named, *managed] if path})
    ]
    return sorted({done.stdout.strip() for done in asked if done.returncode == 0})


def library_files() -> list[str]:
    """The modules above, and the smaller ones of the library."""
    small = [path for path in LIBRARY.glob("*.py") if path.stat().st_size < 30_000]
    return sorted({str(path) for path in [*small, *(LIBRARY / f"{name}.py" for name in MODULES)]})


@cache
def digests(python: str, sample: str) -> dict[str, str]:
    """What a Python finds: file -> digest of its form, without the files that it cannot parse."""
    command = [python, "-c", SCRIPT, str(Path(canonical_form.__file__).parent), sample, *library_files()]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("form") / "sample.py"
    path.write_text(SOURCE)
    return str(path)


@pytest.mark.parametrize("python", other_pythons())
def test_the_form_is_the_same_on_every_python(python: str, sample: str) -> None:
    mine, theirs = digests(str(Path(sys.executable).resolve()), sample), digests(python, sample)
    both = mine.keys() & theirs.keys()
    assert sample in both
    assert len(both) > 100, f"{len(both)} files were compared"
    assert {path: mine[path] for path in both} == {path: theirs[path] for path in both}


def test_the_form_of_a_sample_stays_what_it_was() -> None:
    """If this changes, `FORM` has to count up: revisions kept by users would seem to have changed."""
    plain, prose = forms(ast.parse(SOURCE).body)
    assert (canonical_form.FORM, plain[7:19], prose[7:19]) == (1, "af3491b8d34e", "e98efdcd8421")


@cache
def definitions() -> list[ast.stmt]:
    trees = [ast.parse((LIBRARY / f"{name}.py").read_text(encoding="utf-8")) for name in MODULES]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for tree in trees for node in tree.body if isinstance(node, kinds)]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_layout_and_comments_do_not_count(data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(definitions()))
    again = ast.parse(f"# a comment\n\n{ast.unparse(node)}  # another\n").body[0]
    assert forms([again]) == forms([node])


class _Change(ast.NodeTransformer):
    """Changes the n-th name, number, operator or argument."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.done = False

    def _now(self) -> bool:
        self.left -= 1
        self.done = self.done or self.left == -1
        return self.left == -1

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(node.id + "_", node.ctx) if self._now() else node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, int) and not isinstance(node.value, bool) and self._now():
            return ast.Constant(float(node.value))
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        return ast.Attribute(node.value, node.attr + "_", node.ctx) if self._now() else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        return (
            ast.Compare(node.left, [ast.IsNot(), *node.ops[1:]], node.comparators)
            if self._now() and not isinstance(node.ops[0], ast.IsNot)
            else node
        )

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        return node  # annotations do not count

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        returns, node.returns = node.returns, None  # nor does the type of what is returned
        self.generic_visit(node)
        node.returns = returns
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return node


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_every_change_of_what_runs_counts(data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(definitions()))
    changed = copy.deepcopy(node)
    change = _Change(data.draw(st.integers(0, 60)))
    changed = change.visit(changed)
    if change.done and ast.unparse(changed) != ast.unparse(node):
        assert forms([changed])[0] != forms([node])[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 4", "x = 4.0"), ("x = True", "x = 1"), ("x = 'a'", "x = b'a'"), ("x = f'{a}'", "x = f'{a!r}'"), ("x = -0.0", "x = 0.0"),
        ("x = f'{a:>{b}}'", "x = f'{a:<{b}}'"), ("match x:\n case None: y()", "match x:\n case False: y()"), ("x = a, b", "x = [a, b]"),
        ("def f(a, /): return a", "def f(a): return a"), ("def f(a, *, b): return a", "def f(a, b): return a"), ("x = {**a}", "x = {a: a}"),
        ("async def f(): return 1", "def f(): return 1"), ("x = [i for i in a]", "x = [i async for i in a]"), ("x = a[1:]", "x = a[:1]"),
        ("try:\n a()\nexcept E: b()", "try:\n a()\nexcept* E: b()"), ("api_key = 'secret-one'", "api_key = 'secret-two'"),
    ],
)  # fmt: skip
def test_near_misses_are_told_apart(one: str, other: str) -> None:
    assert form_text(ast.parse(one).body) != form_text(ast.parse(other).body)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 'a' f'{b}' 'c'", "x = f'a{b}c'"), ("x = 1_000", "x = 0x3E8"), ("x: int = 3", "x = 3"), ("x = 1e3", "x = 1000.0"),
        ("def f(a: int) -> str: return a", "def f(a): return a"), ("def f():\n 'doc'\n return 1", "def f(): return 1"), ("if a:\n pass\n b()", "if a: b()"),
        ("def f():\n from a import b\n return b", "def f():\n from c import b\n return b"), ("x = f'{a:}'", "x = f'{a}'"),
    ],
)  # fmt: skip
def test_what_is_written_otherwise_and_runs_alike_is_one(one: str, other: str) -> None:
    assert form_text(ast.parse(one).body) == form_text(ast.parse(other).body)


def test_secrets_are_known_by_name_or_shape_and_masked_in_kept_source() -> None:
    assert is_secret("OPENAI_API_KEY", "swordfish")
    assert is_secret("", "sk-abcdefghijklmnop1234")
    assert not is_secret("max_tokens", "a plain text")
    assert not is_secret("token", "x")
    source = "api_key = 'swordfish'\ncall(password=\"hunter22\", name='ana')\nd = {'token': 'abcdef'}\nk = 'sk-abcdefghijklmnop1234'\n"
    masked = mask_secrets(source)
    assert not any(secret in masked for secret in ("swordfish", "hunter22", "abcdef", "sk-abc"))
    assert "'ana'" in masked
