"""What a command's end says to a script."""

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
# As a shell counts the end by SIGPIPE.
EXIT_BROKEN_PIPE = 141
