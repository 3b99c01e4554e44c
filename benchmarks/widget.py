"""What the ranking widget adds to a decision: from the key pressed to the next answers shown.

    .venv/bin/python benchmarks/widget.py --decisions 120

A real JupyterLab, a real Chromium and a real kernel; every decision is on disk
before the next pair is shown. The browser takes the time itself, from the key's
event to the frame after the next question is drawn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from examples import candidate_set
from lab_page import FLAGS, find_browser, start_lab, stop_lab
from playwright.sync_api import sync_playwright

from workbench.journal import Journal
from workbench.records import CandidateSet, Rating

CELL = """
from workbench.feedback import RankingWidget
from workbench.journal import Journal, read
from workbench.records import CandidateSet, Rating

RankingWidget(read({sets!r}, CandidateSet), Journal({ratings!r}, Rating), rater="person:benchmark")
"""
TIMED = """() => {
    const count = () => document.querySelector(".wb-count b").textContent;
    window.taken = [];
    document.addEventListener("keydown", (event) => {
        if (event.key !== "Enter") return;
        const [begun, before] = [event.timeStamp, count()];
        const look = () => {
            if (count() === before) requestAnimationFrame(look);
            else requestAnimationFrame(() => window.taken.push(performance.now() - begun));
        };
        look();
    }, true);
}"""
PARAGRAPH = "The sky is **blue** because air scatters short waves more than long ones. "
CODE = "\n\n```python\nreturn 1 / wavelength ** 4\n```\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=120)
    n = parser.parse_args().decisions
    sets = [
        candidate_set(f"s{k}", *(PARAGRAPH * (4 + way) + CODE for way in range(2)))
        for k in range(n + 1)
    ]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = Path(folder)
        lab, server = start_lab(home / "lab")
        try:
            Journal(home / "sets.jsonl", CandidateSet).append(*sets)
            paths = {"sets": str(home / "sets.jsonl"), "ratings": str(home / "ratings.jsonl")}
            lab.add_notebook("benchmark.ipynb", CELL.format(**paths))
            browser = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            lab.open(page, "benchmark.ipynb")
            page.evaluate(TIMED)
            page.locator(".jp-OutputArea-output .wb").focus()
            for done in range(1, n + 1):
                page.keyboard.press("1")
                page.keyboard.press("Enter")
                page.wait_for_function("(done) => window.taken.length === done", arg=done)
            taken = sorted(page.evaluate("() => window.taken"))
            browser.close()
        finally:
            stop_lab(server)
        kept = len(list(Journal(home / "ratings.jsonl", Rating)))
    p95 = taken[int(0.95 * len(taken))]
    print(f"{n} decisions, {kept} ratings on disk")
    print(f"median {statistics.median(taken):.0f} ms, 95th percentile {p95:.0f} ms")


if __name__ == "__main__":
    main()
