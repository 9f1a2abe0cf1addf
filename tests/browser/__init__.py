"""Tests of the real app in a real browser."""
