"""Sphinx over MyST Markdown: `make docs` writes build/docs/index.html."""

from importlib.metadata import version as version_of

project = "molfusion"
author = "the molfusion contributors"
version = release = version_of("molfusion")

extensions = ["myst_parser"]
exclude_patterns = ["README.md"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nitpicky = True  # a reference to nothing is an error

html_theme = "furo"
html_title = f"molfusion {release}"
html_copy_source = False
html_show_sourcelink = False
