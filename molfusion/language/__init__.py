"""Language models that read molecules as soft tokens."""
