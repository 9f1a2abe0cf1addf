"""The components' JavaScript without a browser: node, and what a script of tests says of their modules."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import playwright

COMPONENTS = Path(__file__).parents[1] / "explorer" / "components"
NODE = shutil.which("node") or Path(playwright.__file__).parent / "driver" / "node"  # Playwright brings its own


def told(*arguments: str | Path, folder: Path) -> Any:
    """What node prints in a folder, as JSON."""
    done = subprocess.run([NODE, *arguments], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def told_of(component: str, script: str, folder: Path) -> Any:
    """What tests/COMPONENT/SCRIPT prints beside the modules of the component, which may take some of lambda_canvas."""
    for name in (component, "lambda_canvas"):
        shutil.copytree(COMPONENTS / name, folder / name)
    shutil.copy(Path(__file__).parent / component / script, folder / component)
    (folder / "package.json").write_text('{"type": "module"}')
    return told(f"{component}/{script}", folder=folder)
