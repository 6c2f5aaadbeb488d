"""The command line: what a person types and sees, one file for each subject."""
