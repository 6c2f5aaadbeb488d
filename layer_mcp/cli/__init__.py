"""The commands beside the server's own, one file for each subject: parse, call, print."""
