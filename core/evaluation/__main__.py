import sys

from core.evaluation.cli import main

sys.exit(main())
