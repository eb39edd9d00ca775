"""
Build the sdist and the wheel, install the wheel into an empty environment, and try it there.

Run by ``tox -e package``; needs ``build``. Nothing is left in the source tree.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What must not come with `import atasks_ng`: each belongs to a part that not every user takes.
LATE_IMPORTS = ("aiormq", "cloudpickle", "numpy", "tqdm")

# What a packager needs, beside what setuptools takes by itself.
SDIST = {"CHANGELOG.rst", "CONTRIBUTING.rst", "LICENSE", "docs", "scenarios", "tests", "tox.ini"}

# What a working copy has and a clone has not.
LOCAL = (
    ".git",
    ".tox",
    ".venv*",
    ".*_cache",
    "*.egg-info",
    "__pycache__",
    "build",
    "dist",
    "_build",
)

TRIAL = f"""
import sys, importlib.metadata, importlib.resources
import atasks_ng
assert atasks_ng.__version__ == importlib.metadata.version("atasks_ng"), atasks_ng.__version__
assert importlib.resources.files("atasks_ng").joinpath("py.typed").is_file(), "no py.typed"
early = [name for name in {LATE_IMPORTS!r} if name in sys.modules]
assert not early, f"import atasks_ng brings in {{early}}"
"""


def run(*command: str | Path, cwd: Path) -> None:
    print("$", *command, flush=True)
    subprocess.run(command, cwd=cwd, check=True, stdin=subprocess.DEVNULL)


def build(folder: Path) -> tuple[Path, Path]:
    """Return the sdist, and the wheel built from it."""
    # From a copy: a build writes into its source tree, where others may be building, too.
    copy = folder / "source"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LOCAL))
    run(sys.executable, "-m", "build", "--quiet", "--outdir", folder, copy, cwd=folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def check_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        top_level = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    wanted = {name for name in SDIST if (ROOT / name).exists()}
    assert wanted <= top_level, f"missing in the sdist: {sorted(wanted - top_level)}"


def check_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    packages = {name.split("/")[0] for name in names}
    extra = {name for name in packages if not name.startswith("atasks_ng")}
    assert not extra, f"in the wheel, but not of the package: {sorted(extra)}"
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "atasks_ng").rglob("*.py")}
    assert sources <= set(names), f"missing in the wheel: {sorted(sources - set(names))}"


def try_out(wheel: Path, folder: Path) -> None:
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    run(programs / "python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    # -I: no path of the caller's lets the source tree stand in for what was installed.
    run(programs / "python", "-I", "-c", TRIAL, cwd=folder)
    run(programs / "atasks-ng", "--help", cwd=folder)
    run(programs / "python", "-I", "-m", "atasks_ng", "--help", cwd=folder)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sdist, wheel = build(folder)
        check_sdist(sdist)
        check_wheel(wheel)
        try_out(wheel, folder)


if __name__ == "__main__":
    main()
