"""The databases that can hold a journal: a SQLite file, or a PostgreSQL server."""
