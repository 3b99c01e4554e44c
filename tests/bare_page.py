"""A widget on a page without Jupyter: a real one behind anywidget's contract alone.

What VS Code, Colab or marimo give a widget is `model` (get, on, off, send) and an
element. This page gives exactly that, so whatever works here needs nothing of Lab.
"""

from __future__ import annotations

from typing import Any

from anywidget import AnyWidget

HOST = """async ([esm, css, view]) => {
    document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
    const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
    const { default: widget } = await import(url);
    const listeners = new Set();
    const model = {
        get: (name) => ({ view })[name],
        on: (name, listener) => name === "change:view" && listeners.add(listener),
        off: (name, listener) => listeners.delete(listener),
        send: async (message) => {
            view = await window.toKernel(message);
            for (const listener of listeners) listener();
        },
    };
    const el = document.body.appendChild(document.createElement("div"));
    window.close = widget.render({ model, el });
}"""


class BarePage:
    """A browser's page that shows `shown`; `theme` is CSS of the page, `body` its classes."""

    def __init__(
        self, page: Any, shown: AnyWidget, theme: str = "", body: str = "", root: str = ".wb"
    ) -> None:
        self.page = page
        self._shown = shown
        self._root = root
        page.goto("about:blank")
        page.set_content(f"<!doctype html><style>{theme}</style><body class='{body}'>")
        page.expose_function("toKernel", self._receive)

        page.evaluate(HOST, [str(shown._esm), str(shown._css), shown.view])
        self.widget.focus()

    @property
    def widget(self) -> Any:
        return self.page.locator(self._root)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def wait_for(self, text: str) -> None:
        self.widget.get_by_text(text).first.wait_for()

    def _receive(self, message: Any) -> Any:
        self._shown._handle_custom_msg(message, [])
        return self._shown.view
