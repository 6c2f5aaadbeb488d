"""The load proof: many agents, several replicas, and failures while they work."""
