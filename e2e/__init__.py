"""Tests that need a real cluster."""
