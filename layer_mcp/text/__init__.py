"""Clean text from outside: remove the token and control characters, and limit its length."""
