// Which words of some answers differ from another one's, and marks on them in the page.
//
// Works on the text that is shown, so markup stays as it is and nothing is parsed as
// HTML. The work is bounded for texts of any length and make: matching stops when its
// budget is spent, and the words that are left count as equal wherever both sides have
// them. Knows nothing about the widget.

const MOST_CELLS = 250_000;
const BUDGET = 10_000_000;

/** Which words of `a` and of `b` have no partner in the other: two arrays of 0 and 1. */
function differences(a, b) {
  const lone = [new Uint8Array(a.length).fill(1), new Uint8Array(b.length).fill(1)];
  const match = (i, j) => (lone[0][i] = lone[1][j] = 0);
  const ranges = [[0, a.length, 0, b.length]];
  let budget = BUDGET;
  while (ranges.length) {
    let [i, iEnd, j, jEnd] = ranges.pop();
    while (i < iEnd && j < jEnd && a[i] === b[j]) match(i++, j++);
    while (i < iEnd && j < jEnd && a[iEnd - 1] === b[jEnd - 1]) match(--iEnd, --jEnd);
    if (i === iEnd || j === jEnd) continue;
    const cells = (iEnd - i) * (jEnd - j);
    budget -= iEnd - i + (jEnd - j);
    if (cells <= MOST_CELLS && cells <= budget) {
      budget -= cells;
      matchLongest(a, b, [i, iEnd, j, jEnd], match);
      continue;
    }
    const anchors = budget > 0 ? commonAnchors(a, b, [i, iEnd, j, jEnd]) : [];
    if (anchors.length === 0) {
      matchAnywhere(a, b, [i, iEnd, j, jEnd], match);
      continue;
    }
    const ends = [...anchors, [iEnd, jEnd]];
    for (const [k, [y, x]] of [[i, j], ...anchors].entries()) {
      ranges.push([y, ends[k][0], x, ends[k][1]]);
    }
  }
  return lone;
}

/** Match a longest common subsequence, by the textbook's table. */
function matchLongest(a, b, [i, iEnd, j, jEnd], match) {
  const width = jEnd - j + 1;
  const best = new Uint32Array((iEnd - i + 1) * width);
  for (let y = iEnd - i - 1; y >= 0; y--) {
    for (let x = width - 2; x >= 0; x--) {
      const at = y * width + x;
      best[at] =
        a[i + y] === b[j + x] ? best[at + width + 1] + 1 : Math.max(best[at + width], best[at + 1]);
    }
  }
  for (let y = 0, x = 0; y < iEnd - i && x < width - 1; ) {
    const at = y * width + x;
    if (a[i + y] === b[j + x]) match(i + y++, j + x++);
    else if (best[at + width] >= best[at + 1]) y++;
    else x++;
  }
}

/** Places of words that are there once in both, in an order that both share (patience diff). */
function commonAnchors(a, b, [i, iEnd, j, jEnd]) {
  const places = new Map();
  for (let y = i; y < iEnd; y++) places.set(a[y], places.has(a[y]) ? null : [y, -1]);
  for (let x = j; x < jEnd; x++) {
    const place = places.get(b[x]);
    if (place) places.set(b[x], place[1] < 0 ? [place[0], x] : null);
  }
  const piles = [];
  for (const place of places.values()) {
    if (!place || place[1] < 0) continue;
    let [low, high] = [0, piles.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (piles[middle].place[1] < place[1]) low = middle + 1;
      else high = middle;
    }
    piles[low] = { place, before: piles[low - 1] };
  }
  const anchors = [];
  for (let top = piles.at(-1); top; top = top.before) anchors.push(top.place);
  return anchors.reverse();
}

/** Match words that both sides have, as often as both have them, in any order. */
function matchAnywhere(a, b, [i, iEnd, j, jEnd], match) {
  const waiting = new Map();
  for (let x = jEnd - 1; x >= j; x--) {
    if (!waiting.has(b[x])) waiting.set(b[x], []);
    waiting.get(b[x]).push(x);
  }
  for (let y = i; y < iEnd; y++) {
    const x = waiting.get(a[y])?.pop();
    if (x !== undefined) match(y, x);
  }
}

/** The words and signs of an element's text: [{ node, start, end, text, isWord }]. */
function wordsOf(element) {
  const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const words = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const { segment, index, isWordLike } of segmenter.segment(node.data)) {
      if (segment.trim() === "") continue;
      const end = index + segment.length;
      words.push({ node, start: index, end, text: segment, isWord: isWordLike });
    }
  }
  return words;
}

/**
 * Mark what differs between the elements and the one at `reference`; the number of words
 * that differ in each, signs not counted. In the reference that is marked which no other has.
 */
function markDifferences(elements, reference) {
  const words = elements.map(wordsOf);
  const texts = words.map((list) => list.map(({ text }) => text));
  const lone = texts.map((text) => new Uint8Array(text.length).fill(1));
  for (const [i, text] of texts.entries()) {
    if (i === reference) continue;
    const [here, there] = differences(texts[reference], text);
    lone[i] = there;
    here.forEach((differs, k) => (lone[reference][k] &= differs));
  }
  for (const [i, list] of words.entries()) mark(list, lone[i]);
  return words.map((list, i) => list.filter(({ isWord }, k) => isWord && lone[i][k]).length);
}

/** Wrap in <mark> each run of neighbouring words, of one text node, that are flagged. */
function mark(words, flags) {
  const runs = new Map();
  for (const [k, { node, start, end }] of words.entries()) {
    if (!flags[k]) continue;
    if (!runs.has(node)) runs.set(node, []);
    const ofNode = runs.get(node);
    if (ofNode.length && flags[k - 1]) ofNode.at(-1).end = end;
    else ofNode.push({ start, end });
  }
  for (const [node, ofNode] of runs) {
    const parts = document.createDocumentFragment();
    let done = 0;
    for (const { start, end } of ofNode) {
      const marked = document.createElement("mark");
      marked.className = "wb-mark";
      marked.textContent = node.data.slice(start, end);
      parts.append(node.data.slice(done, start), marked);
      done = end;
    }
    parts.append(node.data.slice(done));
    node.replaceWith(parts);
  }
}
