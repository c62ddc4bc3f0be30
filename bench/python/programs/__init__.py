"""What is measured: each module has run(n), and SIZES: n and its result."""
