"""One self-contained page from a sweep's folder, and the same tables as Markdown and CSV."""
