"""The names that users rely on, and what importing them may cost."""

import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import lambda_core

PUBLIC = [
    "LambdaLayer",
    "LambdaLayer1d",
    "build",
    "lambda_layer",
    "load_checkpoint",
    "save_checkpoint",
    "trace",
]
NOT_LOADED = ("streamlit", "captum", "triton", "timm", "lambda_networks", "plotly", "matplotlib", "skimage", "explorer")


def test_the_public_names() -> None:
    assert sorted(lambda_core.__all__) == PUBLIC
    assert all(hasattr(lambda_core, name) for name in PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_explain_themselves(name: str) -> None:
    assert getattr(lambda_core, name).__doc__


def test_its_types_are_shipped() -> None:
    """Without this file, checkers of a program that uses the library take all of it for Any."""
    packaged = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["lambda_core"]
    assert "py.typed" in packaged and resources.files("lambda_core").joinpath("py.typed").is_file()


def test_importing_the_library_loads_nothing_optional() -> None:
    program = (
        "import sys, torch; torchs_own = set(sys.modules)\n"
        f"import lambda_core; print(*(set(sys.modules) - torchs_own) & set({NOT_LOADED}))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
