"""What RDKit computes. No torch here."""
