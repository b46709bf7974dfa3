"""Slurm's words for people: one table, shared with the agent that runs on the host."""

from __future__ import annotations

from remote.agent.slurm_states import ENDINGS, PENDING, REASONS, explain

__all__ = ["ENDINGS", "PENDING", "REASONS", "explain"]
