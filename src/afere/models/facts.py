"""What is known of a model beside its answers: licence, where data may be, who runs it, how much it takes in, its price."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from afere.base.canonical import Json
from afere.base.message import Usage
from afere.base.prices import context_size, price, provider_of
from afere.models.request import Model
from afere.net.address import is_loopback

HOSTED, SELF_RUN = "hosted", "self-run"
_OWN = frozenset({"local", "ollama", "vllm", "scripted"})  # providers that one runs oneself, wherever they are


@dataclass(frozen=True, slots=True)
class Facts:
    """What `models:` of afere.yaml says of a model, and what its address and the price table tell. None is unknown.

    `context` is in tokens, prompt and answer together.
    """

    model: str  # as provider:name
    licence: str | None
    residency: tuple[str, ...] | None
    hosting: str | None
    compliance: tuple[str, ...] | None
    context: int | None
    priced: bool

    def to_json(self) -> dict[str, Json]:
        return {
            "model": self.model, "licence": self.licence, "residency": _listed(self.residency), "hosting": self.hosting,
            "compliance": _listed(self.compliance), "context": self.context, "priced": self.priced,
        }  # fmt: skip


def facts_of(model: Model) -> Facts:
    """The facts of a model that was resolved. Nothing is called."""
    said, name = model.settings, f"{model.provider}:{model.name}"
    context = said.context or context_size(name)
    if context is None and model.provider == "local":
        from afere.models.local import CONTEXT

        context = CONTEXT
    priced = price(name, Usage(1, 1), said.prices) is not None
    return Facts(
        name,
        said.licence,
        _words(said.residency),
        said.hosting or _hosting(model),
        _words(said.compliance),
        context,
        priced,
    )


def _words(value: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(value)


def _listed(words: tuple[str, ...] | None) -> Json:
    return None if words is None else list(words)


def _hosting(model: Model) -> str | None:
    """By its provider, else by its address: this machine and private networks are one's own."""
    if model.provider in _OWN:
        return SELF_RUN
    base_url = model.settings.base_url
    host = urlsplit(base_url).hostname if base_url else None
    if host is None:
        return None
    if is_loopback(host):
        return SELF_RUN
    try:
        return SELF_RUN if ipaddress.ip_address(host).is_private else None
    except ValueError:
        return HOSTED if provider_of(str(base_url)) else None
