"""What a model could write to harm its reader, and a notebook that shows it."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

HOSTILE = (
    "<script>window.hit = 1</script>",
    '<img src="http://127.0.0.1:9/x.png" onerror="window.hit = 1">',
    "<svg onload='window.hit = 1'></svg>",
    '<a href="javascript:window.hit = 1">x</a>',
    '<iframe src="http://127.0.0.1:9/"></iframe>',
    "<style>@import url(http://127.0.0.1:9/x.css)</style>",
    '<div style="background:url(http://127.0.0.1:9/y.png)">y</div>',
    '<link rel="stylesheet" href="http://127.0.0.1:9/x.css">',
)


def notebook(path: Path) -> Path:
    """A notebook at `path` whose outputs are hostile; one harmless table is among them."""
    outputs = [
        new_output("display_data", data={"text/html": html, "text/plain": "x"}) for html in HOSTILE
    ]
    outputs += [
        new_output("display_data", data={"application/javascript": "window.hit = 1"}),
        new_output("display_data", data={"text/markdown": HOSTILE[0], "text/plain": "plain"}),
        new_output("display_data", data={"text/html": "<table><tr><th>kept</th></tr></table>"}),
        new_output("stream", name="stdout", text=HOSTILE[0]),
        new_output("stream", name="stderr", text="progress"),
    ]
    cells = [new_markdown_cell("# A title\n\ntext"), new_code_cell("pass", outputs=outputs)]
    nbformat.write(new_notebook(cells=cells, metadata={"widgets": {"x": 1}}), path)
    return path
