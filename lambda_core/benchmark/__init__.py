"""Parity first, then time and memory, ours beside others': python -m lambda_core.benchmark layers | global | models."""
