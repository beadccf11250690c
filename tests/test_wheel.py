"""What a user gets who installs the package instead of working in a checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
USED = """
from mst_evals import data, manifest
import mst_evals, training.model as models
assert "installed" in mst_evals.__file__
print(len(data.load_topics(data.TOPICS, "test")), len(data.load_problems(data.PROBLEMS, "test")))
print(models.find_base("micro-qwen").endswith("micro-qwen"))
print((manifest.SHIPPED / "micro-llama" / "manifest.json").is_file())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the wheel in a folder of their own, without its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "installed")
    return folder / "installed"


def test_a_wheel_has_the_data_the_bases_and_the_recipes(installed: Path) -> None:
    run = [sys.executable, "-c", USED]
    found = subprocess.run(
        run, cwd=installed, env=os.environ | {"PYTHONPATH": str(installed)}, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == ["200", "126", "True", "True"]
    recipes = {str(path.relative_to(ROOT)) for path in ROOT.glob("training/configs/**/*.yaml")}
    assert recipes <= {str(path.relative_to(installed)) for path in installed.rglob("*.yaml")}


def test_a_wheel_has_nothing_of_this_project_s_own_checks(installed: Path) -> None:
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"mst_evals", "training"}
    assert not (installed / "training" / "adapters").exists()
