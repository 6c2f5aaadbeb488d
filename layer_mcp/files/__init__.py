"""The user's files and folders: which ones can be used, and how to open them safely."""
