"""``python -m ddg_chat``."""

import sys

from .main import main

sys.exit(main())
