"""Read and measure sounds."""
