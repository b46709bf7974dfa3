"""Where things are: the project's own files, the operator's state, the cache.

Every place can be moved by an environment variable, so that a test or a second desk never touches
the first one's files.
"""

from __future__ import annotations

import os
from pathlib import Path

APP = "access-qa-control"


def project_root() -> Path:
    """The checkout (the folder that holds `core/` and `configs/`)."""
    return Path(__file__).resolve().parent.parent


def configs() -> Path:
    """QA_CONFIGS, else `configs/` of the checkout."""
    return Path(os.environ.get("QA_CONFIGS") or project_root() / "configs")


def registry_path() -> Path:
    """QA_REGISTRY, else `registry.db` at the project root."""
    return Path(os.environ.get("QA_REGISTRY") or project_root() / "registry.db")


def state_dir() -> Path:
    """QA_STATE, else XDG state: job mirrors, the sandbox, crash logs."""
    return _dir("QA_STATE", "XDG_STATE_HOME", ".local/state")


def user_config_dir() -> Path:
    """QA_USER_CONFIG, else XDG config: the operator's own settings and key map of the app."""
    return _dir("QA_USER_CONFIG", "XDG_CONFIG_HOME", ".config")


def cache_dir() -> Path:
    """QA_CACHE, else XDG cache: what can be fetched again."""
    return _dir("QA_CACHE", "XDG_CACHE_HOME", ".cache")


def models_dir() -> Path:
    """QA_MODELS, else `models/` in the cache: base models by name."""
    return Path(os.environ.get("QA_MODELS") or cache_dir() / "models")


def _dir(own: str, xdg: str, fallback: str) -> Path:
    if os.environ.get(own):
        return Path(os.environ[own])
    return Path(os.environ.get(xdg) or Path.home() / fallback) / APP
