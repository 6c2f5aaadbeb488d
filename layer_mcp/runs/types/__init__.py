"""The values that describe runs: plain data that can be stored, compared, and sent."""
