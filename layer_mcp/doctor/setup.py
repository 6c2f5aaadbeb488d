"""What the checks look at: each thing is found out once, when the first check needs it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ..credentials import find_keyring_name, token_source
from ..settings import Settings
from .route import Proxy, proxy_for

if TYPE_CHECKING:
    from ..api.models import Workspace
    from .configured_clients import ConfiguredClient
    from .probe import Probe

TOKEN_VARIABLES = ("LAYER_API_KEY", "LAYER_API_TOKEN", "LAYER_TOKEN")


@dataclass(frozen=True)
class FoundToken:
    """A token, as it is written, and where."""

    value: str = field(repr=False)
    place: str


@dataclass(frozen=True)
class Setup:
    """An installation, its settings and the account behind them.

    `settings_problem` says why the settings cannot be read; they are the usual ones then.
    `is_own_sandbox` says that the API is a sandbox which was started for this.
    """

    settings: Settings
    settings_problem: str = ""
    is_own_sandbox: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    @cached_property
    def token(self) -> "FoundToken | None":
        """The token that is set, stored, or else in a client's entry; takes at most 10 s.

        One of an entry counts only for the API that the entry names.
        """
        value = token_source(self.settings)()
        if value is not None:
            return FoundToken(value, self._place_of(value))
        if self.settings.sandbox:
            return None
        found = ((one, one.tokens.get(self.settings.api_url)) for one in self.clients)
        held = ((token, f"in the entry of {one.client.title}") for one, token in found if token)
        return next((FoundToken(*one) for one in held), None)

    def _place_of(self, token: str) -> str:
        if self.is_own_sandbox:
            return "the sandbox's own"
        names = (name for name in TOKEN_VARIABLES if self.environ.get(name, "").strip() == token)
        name = next(names, None)
        return f"set as {name}" if name else f"stored in {find_keyring_name() or 'the keyring'}"

    @cached_property
    def proxy(self) -> Proxy | None:
        """The proxy before the API, if there is one.

        Raises:
            ProxyAddressError: the one that is named cannot be one.
        """
        return proxy_for(self.settings.api_url)

    @cached_property
    def probe(self) -> "Probe":
        """What the API answers without a token; takes at most 4 s."""
        from .probe import probe  # noqa: PLC0415

        return probe(self.settings.api_url)

    @cached_property
    def workspaces(self) -> "list[Workspace]":
        """The workspaces that the token opens; takes at most 4 s.

        Raises:
            LayerError: Layer refuses the token, or does not answer.
        """
        from .account import workspaces_of  # noqa: PLC0415

        return workspaces_of(self.token.value if self.token else "", self.settings.api_url)

    @cached_property
    def clients(self) -> "tuple[ConfiguredClient, ...]":
        """The clients whose configuration names layer-mcp, or cannot be read."""
        from .configured_clients import configured_clients  # noqa: PLC0415

        return configured_clients(self.environ)
