"""Text from outside: cleaned of controls, without the token, bounded."""
