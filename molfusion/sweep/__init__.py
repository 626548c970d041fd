"""Many runs from one file: planned and checked before the first, resumable, compared in one report."""
