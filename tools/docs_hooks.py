"""What `mkdocs build` does besides: pages from the code and from elsewhere in the repository, links, formulas.

Every page is written so that it reads well in the repository too: links go to files beside it, formulas stand between
dollars. Here links become those between pages, and formulas MathML, which browsers draw without a script or a network.
"""

from __future__ import annotations

import html
import os
import re
import sys
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
from docs_reference import commands_page, settings_page

ROOT = Path(__file__).resolve().parents[1]
MADE = {"commands.md": commands_page, "settings.md": settings_page}
ELSEWHERE = {
    "README.md": "index.md",
    "data/README.md": "data.md",
    "kernels/README.md": "kernels.md",
    "nowcast/weights/README.md": "weights.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files of the repository that are pages too."""


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that do not lie in docs/; a page that the menu lacks goes to its end."""
    for name, make in MADE.items():
        files.append(File.generated(config, name, content=make()))
    for source, name in ELSEWHERE.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text(encoding="utf-8")))
    listed = str(config.nav)
    more = [file.src_uri for file in files.documentation_pages() if f"'{file.src_uri}'" not in listed]
    config.nav += [{"More": sorted(more)}] if more else []
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point links to files of the repository at the pages that these became."""
    sources = {name: source for source, name in ELSEWHERE.items()}
    folder = os.path.dirname(sources.get(page.file.src_uri, f"docs/{page.file.src_uri}"))  # noqa: PTH120 - of no file

    def link(found: re.Match[str]) -> str:
        path, mark, anchor = found[1].partition("#")
        target = os.path.normpath(os.path.join(folder, path))  # noqa: PTH118 - the same
        return f"]({ELSEWHERE.get(target, target.removeprefix('docs/'))}{mark}{anchor})"

    return re.sub(r"\]\((?![a-z]+:|#)([^)\s]+)\)", link, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Formulas as MathML."""

    def formula(found: re.Match[str]) -> str:
        block = found[1] == "div"
        return convert(html.unescape(found[2].strip()), display="block" if block else "inline")

    return re.sub(r'<(div|span) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', formula, content, flags=re.DOTALL)
