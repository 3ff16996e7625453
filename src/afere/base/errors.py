"""Every error a user can meet. Each says what happened, where, and what to do next."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of the command line (shared by every command)."""

    DONE = 0
    RULE_FAILED = 1
    WRONG_USE = 2
    OPEN = 3
    WORLD_FAILED = 4
    INTERRUPTED = 130


class AfereError(Exception):
    """Base of all errors raised on purpose. `exit` is the status the command line ends with."""

    exit: Exit = Exit.WRONG_USE


class BadInput(AfereError, ValueError):
    """Something the user wrote does not hold: a file, a row, a field, an argument."""


class BadReference(BadInput):
    """A text is not a reference such as `prompt:answer@3`."""


class NotFound(AfereError, LookupError):
    """Nothing is called that here."""


class NoSuchArtifact(NotFound): ...


class NoSuchAlias(NotFound): ...


class BadProject(BadInput):
    """`afere.yaml` is missing, malformed or says something impossible."""


class BadPrompt(BadInput):
    """A prompt file or its rendering is wrong; the message names file, line and field."""


class BadData(BadInput):
    """A dataset, row or document is wrong; the message names file, line and field."""


class BadRule(BadInput):
    """A rule or filter does not parse; the message points at the character."""


class Overtaken(BadInput):
    """Somebody else changed the same thing meanwhile; nothing was changed here."""


class Refused(AfereError):
    """The actor may not do this, or a protected alias asks for more first."""


class LacksScope(Refused):
    """The actor has no scope here that this needs."""


class WorldFailed(AfereError):
    """Disk, network, model or another process failed. Trying again may help."""

    exit = Exit.WORLD_FAILED


class StoreFailed(WorldFailed):
    """The store cannot be read or written; the message names the file and the remedy."""


class StoreIsNewer(StoreFailed):
    """The store was written by a newer version of afere."""


class ModelFailed(WorldFailed):
    """A model did not answer as it should. `status` is the HTTP status where there was one."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ModelUnreachable(ModelFailed):
    """No connection, unknown model or missing key; the message says what to set."""


class ModelTimedOut(ModelFailed): ...


class MissingExtra(AfereError, ImportError):
    """A feature needs an optional install."""

    def __init__(self, extra: str, feature: str) -> None:
        super().__init__(f"{feature} needs the extra {extra!r}. Install it with: pip install 'afere[{extra}]'")
        self.extra = extra
