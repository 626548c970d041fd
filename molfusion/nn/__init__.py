"""Layers that know nothing of molecules."""
