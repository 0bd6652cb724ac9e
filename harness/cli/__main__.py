"""`python -m harness.cli`: the command where the project isn't installed."""

import sys

from harness.cli.main import main

sys.exit(main())
