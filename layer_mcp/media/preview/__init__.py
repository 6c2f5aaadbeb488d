"""Draw previews for agents: small pictures, contact sheets, and waveforms."""
