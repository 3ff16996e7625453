"""The user's project: the nearest folder upwards that holds `afere.yaml`, and what that file says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast

from afere.base.canonical import Json
from afere.base.document import check, read_yaml
from afere.base.errors import BadProject
from afere.base.redact import ENTRY_SCHEMA

FILE = "afere.yaml"
_TEXTS: dict[str, Json] = {"type": "object", "additionalProperties": {"type": "string"}}
_WORDS: dict[str, Json] = {"type": ["string", "array"], "items": {"type": "string"}}  # one text, or several

PROJECT_SCHEMA: dict[str, Json] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "afere.yaml",
    "type": ["object", "null"],
    "additionalProperties": False,
    "properties": {
        "project": {"type": "string", "pattern": "^[a-z][a-z0-9._-]*$"},
        "language": {"type": "string"},
        "team": {"type": "string"},
        "people": {"type": "array", "items": {"type": "object", "required": ["name"]}},
        "consumers": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "description": "service.name of the program that uses outputs"},
                    "uses": {"type": "array", "items": {"type": "string"}, "description": "all where it is left out"},
                    "owner": {"type": "string"},
                },
            },
        },
        "models": {
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    {"type": "string"},
                    {
                        "type": "object",
                        "required": ["model"],
                        "additionalProperties": False,
                        "properties": {
                            "model": {"type": "string"},
                            "base_url": {"type": "string"},
                            "key": {
                                "type": "string",
                                "description": "name of the environment variable that holds the key",
                            },
                            "timeout": {"type": "number", "exclusiveMinimum": 0},
                            "retries": {"type": "integer", "minimum": 0},
                            "requests_per_minute": {"type": "number", "exclusiveMinimum": 0},
                            "prices": {"type": "object"},
                            "context": {"type": "integer"},
                            "parameters": {"type": "object"},
                            "licence": {
                                "type": "string",
                                "description": "of the model, such as apache-2.0 or proprietary",
                            },
                            "residency": {
                                **_WORDS,
                                "description": "where what is sent may be kept or worked on, such as eu",
                            },
                            "hosting": {"enum": ["hosted", "self-run"], "description": "who keeps it running"},
                            "compliance": {
                                **_WORDS,
                                "description": "what its provider promises, such as gdpr or hipaa",
                            },
                        },
                    },
                ]
            },
        },
        "chains": _TEXTS,
        "agents": {"type": "object"},
        "tools": {"anyOf": [{"type": "string"}, {"type": "array"}]},
        "mcp": {
            "type": "object",
            "maxProperties": 50,
            "propertyNames": {"pattern": "^[a-z][a-z0-9_-]{0,39}$"},
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "command": {"type": "string", "minLength": 1},
                    "args": {"type": "array", "items": {"type": "string"}},
                    "env": {
                        **_TEXTS,
                        "description": "names of the environment variables that hold their values",
                    },
                    "url": {"type": "string", "pattern": "^https?://"},
                    "headers": {
                        **_TEXTS,
                        "description": "names of the environment variables that hold their values",
                    },
                    "owner": {"type": "string"},
                    "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": 600},
                },
            },
        },
        "indexes": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["source"],
                "additionalProperties": False,
                "properties": {
                    "source": {"type": "string"},
                    "chunk": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "size": {"type": "integer", "minimum": 1},
                            "overlap": {"type": "integer", "minimum": 0},
                        },
                    },
                    "embed": {"type": "string"},
                },
            },
        },
        "aliases": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "protected": {"type": "boolean"},
                    "approvals": {"type": "integer", "minimum": 0},
                    "follow": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
        "redact": {"type": "array", "items": ENTRY_SCHEMA},
        "content": {"enum": ["all", "none"]},
        "forward": {
            "type": "array",
            "maxItems": 8,
            "items": {
                "type": "object",
                "required": ["url"],
                "additionalProperties": False,
                "properties": {
                    "url": {"type": "string", "pattern": "^https?://"},
                    "headers": {
                        "type": "object",
                        "additionalProperties": {"type": "string"},
                        "description": "names of the environment variables that hold their values",
                    },
                    "protocol": {"enum": ["http"]},
                },
            },
        },
        "keep": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "spans": {"type": "string", "pattern": "^[1-9][0-9]{0,5}[hd]$", "description": "such as 30d or 12h"},
                "archive": {
                    "type": "string",
                    "pattern": "^[1-9][0-9]{0,5}d$",
                    "description": "such as 14d: older days rest as Parquet (extra parquet)",
                },
                "projects": {
                    "type": "object",
                    "additionalProperties": {"type": "string", "pattern": "^[1-9][0-9]{0,5}[hd]$"},
                    "description": "how long spans of other projects in the same store are kept; '*' for all the others",
                },
            },
        },
        "spans": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "filterable": {
                    "type": "array",
                    "maxItems": 16,
                    "items": {"type": "string", "minLength": 1, "maxLength": 100},
                }
            },
        },
        "revision": {"type": "object"},
        "debt": {"type": "object"},
        "store": {"type": "string"},
    },
}


@dataclass(frozen=True, slots=True)
class Project:
    """Where relative paths and names resolve. `config` is `afere.yaml` as plain values, already checked."""

    root: Path
    name: str = "default"
    config: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    declared: bool = False  # whether there is an afere.yaml

    def section(self, name: str) -> dict[str, Json]:
        """A mapping of `afere.yaml`, empty where it is not written."""
        value = self.config.get(name)
        return dict(value) if isinstance(value, dict) else {}

    def path(self, text: str | Path) -> Path:
        """A path as the user writes it: `~` expanded, relative ones from the project's root."""
        return self.root / Path(text).expanduser()

    @property
    def inside(self) -> str:
        """Where it stands in its repository, `services/desk/`, empty at the top: the places that CI knows begin there."""
        for folder in (self.root, *self.root.parents):
            if (folder / ".git").exists():
                inside = self.root.relative_to(folder).as_posix()
                return "" if inside == "." else f"{inside}/"
        return ""

    @property
    def store(self) -> str:
        """Where records rest: AFERE_STORE, else `store:` of afere.yaml, else `.afere` in the root."""
        named = os.environ.get("AFERE_STORE") or cast("str | None", self.config.get("store"))
        if named is None:
            return str(self.root / ".afere")
        return named if "://" in named else str(self.path(named))


def find_project(start: str | Path | None = None) -> Project:
    """The project of a file or folder (default: the working directory): the nearest `afere.yaml` upwards.

    Without one, the folder itself is the project, with no settings.
    """
    here = Path(start or Path.cwd()).resolve()
    folder = here if here.is_dir() else here.parent
    for candidate in (folder, *folder.parents):
        file = candidate / FILE
        try:
            stat = file.stat()
        except OSError:
            continue
        return _named(_read(file, stat.st_mtime_ns, stat.st_size))
    return _named(Project(folder))


def _named(project: Project) -> Project:
    name = os.environ.get("AFERE_PROJECT")
    return Project(project.root, name, project.config, project.declared) if name else project


@lru_cache(maxsize=32)
def _read(file: Path, _mtime: int, _size: int) -> Project:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise BadProject(f"{file}: not UTF-8 (byte {problem.start}). Save the file as UTF-8.") from None
    except OSError as problem:
        raise BadProject(f"{file}: cannot be read: {problem.strerror}.") from None
    document = read_yaml(text, file=str(file), error=BadProject)
    check(document, PROJECT_SCHEMA, error=BadProject)
    config = document.value if isinstance(document.value, dict) else {}
    return Project(file.parent, str(config.get("project") or "default"), config, declared=True)
