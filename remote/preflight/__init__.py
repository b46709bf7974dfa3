"""What the host is, what would fail there, and what to do about it, before anything is sent."""

from remote.preflight.checks import Finding, judge, judge_noise, preflight

__all__ = ["Finding", "judge", "judge_noise", "preflight"]
