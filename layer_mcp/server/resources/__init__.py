"""What clients can read without a tool: one file a subject, one table of all of them."""
