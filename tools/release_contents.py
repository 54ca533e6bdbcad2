"""Hold what a wheel and an sdist contain against what git has: nothing missing, nothing stray.

tools/release_contents.py WHEEL SDIST
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

MOST_WHEEL_MB, MOST_SDIST_MB = 35, 60
# Where the parts of the repository lie in the wheel.
PLACES = {
    "edge_embed/": "edge_embed/",
    "conversion/edge_embed_conversion/": "edge_embed_conversion/",
    "models/": "edge_embed/models/",
}
# In the repository alone: the list of models, and what they can be converted from again.
LEFT_OUT = ("models/README.md", ".safetensors")
LEFT_OUT_FOLDERS = ("models/edge-embed-albert/",)


def main() -> None:
    """Compare, and end with what differs."""
    wheel, sdist = map(Path, sys.argv[1:3])
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
    files = set(tracked.stdout.splitlines())
    expected = {
        place + file.removeprefix(start)
        for file in files
        for start, place in PLACES.items()
        if file.startswith(start)
        and not file.endswith(LEFT_OUT)
        and not file.startswith(LEFT_OUT_FOLDERS)
    }
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
        notices = {Path(name).name for name in archive.namelist() if "/licenses/" in name}
    compare(wheel.name, found, expected)
    if notices != {"LICENSE", "NOTICE"}:
        raise SystemExit(f"{wheel.name}: the licence files are {sorted(notices)}")
    bound(wheel, len(found), MOST_WHEEL_MB)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if not name.endswith("/")}
    stray = {name for name in names - files - {"PKG-INFO"} if name}
    shipped = {file for file in files if file.startswith(tuple(PLACES))}
    missing = {file for file in shipped if not file.endswith(".safetensors")} - names
    if stray or missing:
        raise SystemExit(f"{sdist.name}: stray {sorted(stray)}, missing {sorted(missing)}")
    bound(sdist, len(names), MOST_SDIST_MB)


def bound(archive: Path, files: int, most: int) -> None:
    """Print an archive's size, and end if it has more than ``most`` MB."""
    size = archive.stat().st_size / 1e6
    print(f"{archive.name}: {files} files, {size:.1f} MB (at most {most})")
    if size > most:
        raise SystemExit(f"{archive.name} is too large")


def compare(name: str, found: set[str], expected: set[str]) -> None:
    """End with the difference, if there is one."""
    if found != expected:
        raise SystemExit(
            f"{name}: stray {sorted(found - expected)}, missing {sorted(expected - found)}"
        )


if __name__ == "__main__":
    main()
