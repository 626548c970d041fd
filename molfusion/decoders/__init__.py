"""Latents to molecules."""
