"""The jobs that people do with Layer, as prompts: one table, and how a row of it becomes text."""
