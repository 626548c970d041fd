"""`python -m molfusion`."""

import sys

from molfusion.cli import main

sys.exit(main())
