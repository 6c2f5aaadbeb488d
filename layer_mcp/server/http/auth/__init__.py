"""Who may call the HTTP server: static tokens, OAuth access tokens, and scopes."""
