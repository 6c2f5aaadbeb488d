"""Who may call the HTTP server: scopes, and the file of tokens."""
