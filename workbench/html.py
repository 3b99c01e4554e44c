"""Executed notebooks as HTML files that open from disk, run nothing and fetch nothing.

Outputs may hold what a model wrote. Three walls stand before a reader's browser:
only plain kinds of output are kept, their HTML is cleaned by nh3, and the page
carries a content security policy that forbids scripts and the network. What the
author wrote in markdown cells is trusted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.journal import write_whole

KEPT = ("image/png", "image/jpeg", "text/html", "text/plain")
"""Kinds of output that reach the page; widgets leave their text behind."""

POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:\">"
)

STYLE = """<style>
.jp-RenderedHTMLCommon :is(td, th) { text-align: left !important; vertical-align: top; }
body.jp-Notebook { max-width: 960px; margin: 0 auto; }
</style>"""


def export(notebook: Path) -> Path:
    """Write NAME.html beside an executed notebook and return its path."""
    import nbformat
    from nbconvert import HTMLExporter

    node = nbformat.read(notebook, as_version=4)
    node.metadata.pop("widgets", None)
    for cell in node.cells:
        if cell.cell_type == "code":
            cell.outputs = [clean for output in cell.outputs if (clean := _clean(output))]
    exporter = HTMLExporter(
        template_name="lab",
        embed_images=True,
        mathjax_url="",
        require_js_url="",
        jquery_url="",
        widget_renderer_url="",
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    body, _ = exporter.from_notebook_node(node)
    page = body.replace("<head>", f"<head>{POLICY}", 1).replace("</head>", f"{STYLE}</head>", 1)
    return write_whole(notebook.with_suffix(".html"), page)


def _clean(output: Any) -> Any:
    """An output that may be shown, or None. Progress on stderr is for the terminal only."""
    if output.output_type == "stream":
        return None if output.name == "stderr" else output
    if output.output_type == "error":
        return output
    output.data = {kind: data for kind, data in output.data.items() if kind in KEPT}
    if "text/html" in output.data:
        output.data["text/html"] = clean_html(output.data["text/html"])
    return output if output.data else None


def clean_html(html: str) -> str:
    """HTML without scripts, styles, event handlers or anything that is fetched."""
    import nh3

    return nh3.clean(html, tags=nh3.ALLOWED_TAGS - {"img"}, url_schemes={"http", "https"})
