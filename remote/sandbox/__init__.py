"""The embedded sandbox: a real SSH jump host and a real SSH GPU host on this machine.

    with Sandbox(directory) as sandbox:
        route = Route(sandbox.host, prompter)

The servers run in a process of their own, which ends when this one does, however it ends. What runs on
the GPU host in a session of its own (a detached job) outlives both. This module never imports asyncssh.
"""

from __future__ import annotations

from remote.sandbox.sandbox import PASSCODE, Sandbox

__all__ = ["PASSCODE", "Sandbox"]
