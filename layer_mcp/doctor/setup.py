"""What the checks look at: each thing is found out once, when the first check needs it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ..settings import Settings
from ..token_store import keyring_name, token_source
from .route import Proxy, proxy_for

if TYPE_CHECKING:
    from ..api.models import Workspace
    from .configured_clients import ConfiguredClient
    from .probe import Probe

TOKEN_VARIABLES = ("LAYER_API_KEY", "LAYER_API_TOKEN", "LAYER_TOKEN")


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
    def token(self) -> str | None:
        """The token as it is set or stored; takes at most 5 s."""
        return token_source(self.settings)()

    @cached_property
    def token_place(self) -> str:
        """Where the token comes from; takes at most 5 s."""
        if self.is_own_sandbox:
            return "the sandbox's own"
        values = ((name, self.environ.get(name, "").strip()) for name in TOKEN_VARIABLES)
        name = next((name for name, value in values if value and value == self.token), None)
        return f"set as {name}" if name else f"stored in {keyring_name() or 'the keyring'}"

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

        return workspaces_of(self.token or "", self.settings.api_url)

    @cached_property
    def clients(self) -> "tuple[ConfiguredClient, ...]":
        """The clients whose configuration names layer-mcp, or cannot be read."""
        from .configured_clients import configured_clients  # noqa: PLC0415

        return configured_clients(self.environ)
