"""What mkdocs calls: which files the site is made of, by their path in the repository."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.docs_site import commands, http_api, python_api  # noqa: E402 - by the line above

# Pages, and the pictures and results that they link to.
_PARTS = (
    "*.md",
    "LICENSE",
    "docs/**/*",
    "models/README.md",
    "models/*/README.md",
    "models/*/*.png",
    "benchmarks/README.md",
)
_RESULTS = "benchmarks/results"
_GENERATED = {
    "docs/reference/commands.md": commands.document,
    "docs/reference/http.md": http_api.document,
    **{f"docs/reference/{page}.md": made for page, made in python_api.DOCUMENTS.items()},
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take the repository's files instead of those in docs/ alone, and the generated pages."""
    for file in list(files):
        if file.src_dir == config.docs_dir:
            files.remove(file)
    for name in sorted({name for part in _PARTS for name in _names(part)}):
        files.append(File(name, str(ROOT), config.site_dir, config.use_directory_urls))
    for name in sorted(_names(f"{_RESULTS}/**/*")):
        file = File(name, str(ROOT), config.site_dir, config.use_directory_urls)
        file.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(file)
    for name, made in _GENERATED.items():
        files.append(File.generated(config, name, content=made()))
    for folder in (ROOT / _RESULTS).iterdir():
        name, content = f"{_RESULTS}/{folder.name}/index.md", _listing(folder)
        listing = File.generated(config, name, content=content)
        listing.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(listing)
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Let a link to a folder lead to the page that lists its files."""
    return re.sub(r"\]\((?!https?:)([^)#\s]+)/\)", r"](\1/index.md)", markdown)


def _names(pattern: str) -> Iterator[str]:
    """Yield the names of files in the repository that a pattern fits."""
    for path in ROOT.glob(pattern):
        if path.is_file():
            yield path.relative_to(ROOT).as_posix()


def _listing(folder: Path) -> str:
    """Return a page of links to a folder's files."""
    links = [f"- [{file.name}]({file.name})" for file in sorted(folder.iterdir())]
    return "\n".join([f"# {folder.relative_to(ROOT)}", "", *links, ""])
