"""Who is at the desk: the name that stands in the audit, with approvals and on job cards."""

from __future__ import annotations

import getpass
import os


def whoami() -> str:
    """QA_OPERATOR, else the login name; "unknown" where the system has no name for the user."""
    try:
        return os.environ.get("QA_OPERATOR") or getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
