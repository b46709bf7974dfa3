"""Making the environment of the jobs, with real venv, pip and (where it is) uv, from wheels of our own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from core import setup_env


def wheel(folder: Path, name: str, version: str, source: str) -> Path:
    """The smallest installable wheel."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr(f"{name}.py", source)
        z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        z.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        z.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Only the wheels in this folder can be installed."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setattr(setup_env.shutil, "which", _without_uv)
    return tmp_path / "wheels"


def _without_uv(name: str) -> str | None:
    return None if name in ("uv", "nvidia-smi") else shutil.which(name)


def settings(tmp_path: Path, *requirements: str, check: list[str]) -> dict[str, Any]:
    bounds = tmp_path / "constraints.txt"
    bounds.write_text("alpha==1.5\n")
    home = str(tmp_path / "environment")
    return {
        "home": home,
        "requirements": list(requirements),
        "constraints": str(bounds),
        "torch_index": None,
        "check": check,
    }


def says(environment: str, code: str) -> str:
    python = Path(environment) / "bin" / "python"
    return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()


def test_made_once_pinned_and_pointed_to(tmp_path: Path, offline: Path, capfd: Any) -> None:
    wheel(offline, "alpha", "1.5", "x = 15")
    wheel(offline, "alpha", "2.0", "x = 20")
    asked = settings(tmp_path, "alpha>=1", check=["alpha"])
    made = setup_env.make(asked)
    assert says(made, "import alpha; print(alpha.x)") == "15", "the constraints hold"
    assert (tmp_path / "environment" / "current").resolve() == Path(made).resolve()
    stamp = (Path(made) / "bin" / "python").lstat().st_mtime_ns
    capfd.readouterr()
    assert setup_env.make(asked) == made
    assert "there already" in capfd.readouterr().out
    assert (Path(made) / "bin" / "python").lstat().st_mtime_ns == stamp


def test_a_broken_package_leaves_the_environment_in_use_as_it_is(
    tmp_path: Path, offline: Path
) -> None:
    wheel(offline, "alpha", "1.5", "x = 15")
    wheel(offline, "beta", "1.0", "raise RuntimeError('broken')")
    good = setup_env.make(settings(tmp_path, "alpha", check=["alpha"]))
    for requirement, module in (("beta", "beta"), ("gamma", "gamma")):
        with pytest.raises(setup_env.Cannot):
            setup_env.make(settings(tmp_path, requirement, check=[module]))
    assert (tmp_path / "environment" / "current").resolve() == Path(good).resolve()


def test_an_interrupted_run_is_begun_again(tmp_path: Path, offline: Path) -> None:
    wheel(offline, "alpha", "1.5", "x = 15")
    asked = settings(tmp_path, "alpha", check=["alpha"])
    torn = Path(asked["home"]) / ("env-" + setup_env.digest(asked, sys.executable))
    torn.mkdir(parents=True)
    (torn / "half").write_text("")
    made = setup_env.make(asked)
    assert made == str(torn) and not (torn / "half").exists()


def test_a_cpu_build_of_torch_is_caught_where_there_is_a_gpu(
    tmp_path: Path, offline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\n")
    smi.chmod(0o755)
    version = "class version: cuda = {!r}\n__version__ = '2.13.0'\n"
    for n, (cuda, works) in enumerate([(None, False), ("12.6", True)]):
        wheel(offline, "torch", f"2.13.{n}", version.format(cuda))
        asked = settings(tmp_path, f"torch==2.13.{n}", check=["torch"])
        with monkeypatch.context() as patched:
            patched.setenv("PATH", f"{smi.parent}:/usr/bin:/bin")
            if works:
                assert setup_env.make(asked)
            else:
                with pytest.raises(setup_env.Cannot):
                    setup_env.make(asked)


def test_without_any_python_the_answer_says_what_to_install(
    tmp_path: Path, offline: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(setup_env, "find_python", lambda: None)
    spec = {"settings": settings(tmp_path, "alpha", check=[])}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert setup_env.main(["--job", str(tmp_path)]) == setup_env.CANNOT
    assert "try: install python3.11" in capfd.readouterr().err


def test_a_private_index_never_stands_in_a_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(
        setup_env, "run", lambda argv, what, hint="", extra=None: seen.append((argv, extra or {}))
    )
    asked = settings(tmp_path, "alpha", "torch>=2.12", check=[])
    asked["torch_index"] = "https://index.example/cu126"
    setup_env.install("/env", asked, None)
    (first, extra), (second, none) = seen
    assert first[-1] == "torch>=2.12" and extra["PIP_INDEX_URL"] == asked["torch_index"]
    assert second[-2:] == ["alpha", "torch>=2.12"] and none == {}
    assert not any("index.example" in word for argv, _ in seen for word in argv)
