import sys

from core.training.cli import main

sys.exit(main())
