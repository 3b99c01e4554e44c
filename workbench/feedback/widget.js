// The page's side of RankingWidget: shows the kernel's view, keeps a draft, sends decisions.
//
// It never decides that something is saved: it moves on when the kernel publishes
// the next turn, and keeps the draft until then. The only HTML it inserts is what
// the kernel sanitised (prompt and answers); every other text is set as text.
// It uses anywidget's model and element only, nothing of the page around it.

const KERNEL_PATIENCE_MS = 5000;
const FOLD_AT_PX = 380;
const EMPTY = { groups: [], joining: false, bothBad: false, value: null, comment: "" };

// --- the draft: pure functions from one draft to the next ---------------------

function place(draft, answer, count, mode) {
  if (mode === "pairwise") return { ...draft, bothBad: false, groups: [[answer], [1 - answer]] };
  const groups = draft.bothBad ? [] : draft.groups;
  if (groups.flat().includes(answer)) {
    const rest = groups.map((g) => g.filter((a) => a !== answer)).filter((g) => g.length);
    return { ...draft, bothBad: false, joining: false, groups: rest };
  }
  const next =
    draft.joining && groups.length
      ? [...groups.slice(0, -1), [...groups.at(-1), answer]]
      : [...groups, [answer]];
  return { ...draft, bothBad: false, joining: false, groups: next };
}

function tie(draft, count, mode) {
  const { groups, joining } = draft;
  const everyone = { ...draft, bothBad: false, joining: false, groups: [everyAnswer(count)] };
  if (mode === "pairwise" || draft.bothBad || groups.length === 0) return everyone;
  if (groups.flat().length < count) return { ...draft, joining: !joining };
  if (groups.length === 1) return { ...draft, groups: [] };
  return { ...draft, groups: [...groups.slice(0, -2), [...groups.at(-2), ...groups.at(-1)]] };
}

function allBad(draft, count) {
  if (draft.bothBad) return { ...draft, bothBad: false, groups: [] };
  return { ...draft, bothBad: true, joining: false, groups: [everyAnswer(count)] };
}

function takeOff(draft) {
  if (draft.bothBad) return { ...draft, bothBad: false, groups: [] };
  if (draft.joining) return { ...draft, joining: false };
  const last = draft.groups.at(-1);
  if (!last) return draft;
  const rest = draft.groups.slice(0, -1);
  return { ...draft, groups: last.length > 1 ? [...rest, last.slice(0, -1)] : rest };
}

/** The groups with the last open answer placed, or null while more than one is open. */
function whole(draft, count) {
  const open = everyAnswer(count).filter((a) => !draft.groups.flat().includes(a));
  if (open.length === 0) return draft.groups;
  return open.length === 1 && count > 1 && draft.groups.length
    ? place(draft, open[0], count, "ranking").groups
    : null;
}

const everyAnswer = (count) => [...Array(count).keys()];
const ordinal = (n) => n + (["th", "st", "nd", "rd"][n] ?? "th");

function fromDecision(decision) {
  if (!decision) return EMPTY;
  const { ranking, both_bad, value, comment } = decision;
  return { groups: ranking, joining: false, bothBad: both_bad, value, comment };
}

// --- small helpers ------------------------------------------------------------

/** An element with classes, attributes and children; text is never parsed as HTML. */
function h(tag, className, attributes = {}, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Insert HTML that the kernel made with `to_safe_html`. */
function withSafeHtml(element, html) {
  element.innerHTML = html;
  return element;
}

/** The Latin letter or digit of a key on any keyboard layout (Cyrillic, AZERTY), else its name. */
function keyName(event) {
  if (/^[a-z0-9]$/i.test(event.key)) return event.key.toLowerCase();
  const physical = /^(?:Key([A-Z])|(?:Digit|Numpad)(\d))$/.exec(event.code);
  if (physical && event.key.length === 1) return (physical[1] ?? physical[2]).toLowerCase();
  return event.key;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// --- the widget ---------------------------------------------------------------

class Ranking {
  constructor(model, host) {
    this.model = model;
    this.host = host;
    this.root = h("div", "wb", {
      tabindex: "0",
      role: "group",
      "aria-label": "Blind rating",
      // Notebook 7 hears keys before we do: d d would delete the cell.
      "data-lm-suppress-shortcuts": "true",
    });
    this.root.addEventListener("keydown", (event) => this.onKey(event));
    this.sizes = new ResizeObserver(() => this.fold());
    this.onView = () => this.receive();
    model.on("change:view", this.onView);
    host.classList.add("wb-host");
    host.append(this.root);
    this.startQuestion();
  }

  destroy() {
    this.model.off("change:view", this.onView);
    this.sizes.disconnect();
    clearTimeout(this.timer);
  }

  get count() {
    return this.view.answers.length;
  }

  get ranked() {
    return this.view.mode === "ranking" || this.view.mode === "pairwise";
  }

  // What the kernel published.

  receive() {
    clearTimeout(this.timer);
    const moved = this.model.get("view").question !== this.view.question;
    if (moved) {
      this.startQuestion();
      return;
    }
    this.view = this.model.get("view");
    this.pending = null;
    this.notice = this.view.notice;
    if (this.editor && this.notice?.kind !== "error") this.closeEditor();
    this.paint();
  }

  startQuestion() {
    const focused = this.root.contains(this.root.getRootNode().activeElement);
    this.view = this.model.get("view");
    this.draft = fromDecision(this.view.draft);
    this.notice = this.view.notice;
    this.pending = null;
    this.unfolded = new Set();
    this.compared = null;
    this.editor = null;
    this.started = performance.now();
    this.build();
    this.paint();
    if (focused) this.focusRoot();
    if (focused && this.root.getBoundingClientRect().top < 0) this.root.scrollIntoView();
  }

  // What is sent.

  /** Send a message and hold the draft as it is until the kernel answers. */
  send(message) {
    this.pending = { ...message, turn: this.view.turn };
    this.post();
  }

  post() {
    this.stalled = false;
    this.notice = null;
    this.timer = setTimeout(() => {
      this.stalled = true;
      const text =
        "Not saved yet: the kernel does not answer. It may be busy; your decision stays here. " +
        "If the kernel was restarted, run the cell again.";
      this.notice = { kind: "error", text };
      this.paint();
    }, KERNEL_PATIENCE_MS);
    this.model.send(this.pending);
    this.paint();
  }

  save() {
    const { bothBad, value, comment, groups } = this.draft;
    if (!this.ready()) {
      this.say(this.guidance(), true);
      return;
    }
    const ranking = this.ranked ? (bothBad ? groups : whole(this.draft, this.count)) : [];
    const seconds = Math.round((performance.now() - this.started) / 100) / 10;
    this.send({
      do: "decide",
      decision: { ranking, both_bad: bothBad, value, comment, seconds },
    });
  }

  ready() {
    return this.ranked ? whole(this.draft, this.count) !== null : this.draft.value !== null;
  }

  change(draft) {
    this.draft = draft;
    this.notice = null;
    this.paint();
  }

  // Keys.

  onKey(event) {
    if (event.isComposing) return;
    if (this.editor && event.target === this.editor.textarea) {
      event.stopPropagation();
      const keep = event.key === "Enter" && (event.ctrlKey || event.metaKey);
      if (!keep && event.key !== "Escape") return;
      event.preventDefault();
      this.keepCorrection();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === this.comment) {
      event.stopPropagation();
      if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
        event.preventDefault();
        this.focusRoot();
      }
      return;
    }
    if (event.key === "Tab") return;
    // Everything else stays here: Lab's one-letter shortcuts would cut or delete the cell.
    event.stopPropagation();
    const pressed = event.key === "Enter" || event.key === " ";
    if (pressed && event.target.matches("button:focus-visible")) return;
    const key = keyName(event);
    if (!(key in this.actions())) return;
    event.preventDefault();
    if (!event.repeat) this.act(key);
  }

  act(key) {
    if (!this.pending) this.actions()[key]?.();
    else if (this.stalled && key === "Enter") this.post();
  }

  /** What each key does now; the hints are drawn from the same table's names. */
  actions() {
    const step = (name) => () => this.send({ do: "step", step: name });
    const actions = {};
    if (this.view.can_undo) actions.z = step("undo");
    if (this.count === 0) {
      if (this.view.skipped) actions.s = step("revisit");
      return actions;
    }
    actions.s = step("skip");
    actions.c = () => this.openComment();
    actions.e = () => this.openEditor();
    actions.f = () => this.toggleAll();
    actions.Enter = () => this.save();
    actions.ArrowRight = () => this.moveFocus(1);
    actions.ArrowLeft = () => this.moveFocus(-1);
    const { draft, count } = this;
    const { mode } = this.view;
    if (this.ranked) {
      actions.d = () =>
        this.compare(this.compared === null ? Math.max(0, this.focusedCard()) : null);
      for (const a of everyAnswer(count)) {
        actions[String(a + 1)] = () => this.change(place(this.draft, a, count, mode));
      }
      actions.t = () => this.change(tie(this.draft, count, mode));
      actions.b = () => this.change(allBad(this.draft, count));
      actions.Backspace = () => this.change(mode === "pairwise" ? EMPTY : takeOff(this.draft));
    } else if (mode === "thumbs") {
      actions.u = () => this.change({ ...draft, value: 1 });
      actions.d = () => this.change({ ...draft, value: 0 });
    } else {
      for (const n of [1, 2, 3, 4, 5]) {
        actions[String(n)] = () => this.change({ ...draft, value: n });
      }
    }
    return actions;
  }

  press(key) {
    this.act(key);
    if (key !== "c" && key !== "e") this.focusRoot();
  }

  focusRoot() {
    this.root.focus({ preventScroll: true });
  }

  /** The number of the answer that has the focus, -1 when none has. */
  focusedCard() {
    const active = this.root.getRootNode().activeElement;
    return this.cards.findIndex(({ card }) => card.contains(active));
  }

  moveFocus(by) {
    const at = this.focusedCard();
    const next = at < 0 ? (by > 0 ? 0 : this.count - 1) : (at + by + this.count) % this.count;
    this.cards[next].card.focus();
    if (this.compared !== null) this.compare(next);
  }

  openComment() {
    this.commentBox.hidden = false;
    this.comment.focus();
  }

  // Differences between the answers, from one of them; null shows none.

  compare(reference) {
    const before = this.compared;
    this.compared = reference;
    for (const [i, { text }] of this.cards.entries()) {
      if (before !== null) withSafeHtml(text, this.view.answers[i].html);
    }
    const texts = this.cards.map(({ text }) => text);
    const counts = reference === null ? [] : markDifferences(texts, reference);
    for (const [i, { differs, text }] of this.cards.entries()) {
      const words = counts[i] === 1 ? "1 word differs" : `${counts[i]} words differ`;
      const same = text.querySelector(".wb-mark") ? "only signs differ" : "the same text";
      const compared = i === reference && this.count > 2 ? "compared with this" : null;
      differs.textContent = reference === null ? "" : (compared ?? (counts[i] ? words : same));
    }
    this.paint();
  }

  // The correction of one answer: a plain text field in its card.

  openEditor() {
    const focused = this.focusedCard();
    const answer = focused < 0 ? (this.draft.groups[0]?.[0] ?? 0) : focused;
    const { text, correction } = this.view.answers[answer];
    const textarea = h("textarea", "wb-textarea wb-correction", {
      dir: "auto",
      spellcheck: "true",
      "aria-label": `Answer ${answer + 1} as it should have been`,
    });
    textarea.value = correction ?? text;
    const hint = h("div", "wb-quiet wb-hint", {});
    hint.append("As it should have been. ", h("kbd", "", {}, "Esc"), " or ");
    hint.append(h("kbd", "", {}, "Ctrl ↵"), " keeps it");
    const box = h("div", "wb-editor", {}, textarea, hint);
    const { card, body } = this.cards[answer];
    body.before(box);
    card.classList.add("wb-editing");
    this.editor = { answer, textarea, box, before: textarea.value };
    this.paint();
    textarea.focus();
    textarea.setSelectionRange(0, 0);
    textarea.scrollTop = 0;
  }

  keepCorrection() {
    if (this.pending) {
      if (this.stalled) this.post();
      return;
    }
    const { answer, textarea, before } = this.editor;
    if (textarea.value === before) {
      this.closeEditor();
      this.paint();
    } else {
      this.send({ do: "correct", answer, text: textarea.value });
    }
  }

  closeEditor() {
    const { answer, box } = this.editor;
    const { card } = this.cards[answer];
    this.editor = null;
    box.remove();
    card.classList.remove("wb-editing");
    card.focus({ preventScroll: true });
  }

  // Folding of long answers.

  fold() {
    for (const [i, { card, body, more }] of this.cards.entries()) {
      const long = body.firstChild.offsetHeight > FOLD_AT_PX * 1.15;
      const open = this.unfolded.has(i);
      card.classList.toggle("wb-folded", long && !open);
      more.hidden = !long;
      more.textContent = open ? "Show less" : "Show all";
      more.setAttribute("aria-expanded", String(open));
    }
    this.paintKeys();
  }

  toggleAll() {
    const anyFolded = this.cards.some(({ card }) => card.classList.contains("wb-folded"));
    this.unfolded = new Set(anyFolded ? everyAnswer(this.count) : []);
    this.fold();
  }

  toggle(i) {
    if (!this.unfolded.delete(i)) this.unfolded.add(i);
    this.fold();
  }

  // Drawing: build once a turn, paint with every change of the draft.

  build() {
    this.sizes.disconnect();
    this.cards = this.view.answers.map((answer, i) => this.buildCard(answer, i));
    this.status = h("div", "wb-status", { role: "status", "aria-live": "polite" });
    this.comment = h("textarea", "wb-textarea", {
      rows: "2",
      maxlength: "10000",
      "aria-label": "Comment",
      placeholder: "What made the difference? Enter returns to the answers.",
    });
    this.comment.value = this.draft.comment;
    this.comment.addEventListener("input", () => (this.draft.comment = this.comment.value));
    this.commentBox = h("div", "wb-comment", {}, this.comment);
    this.commentBox.hidden = !this.draft.comment;
    const content = this.count
      ? [this.buildPrompt(), this.buildCards(), this.commentBox]
      : [this.buildEnd()];
    this.alert = h("div", "wb-alert", { role: "alert" });
    this.keys = h("div", "wb-keys", { "aria-label": "Keys" });
    const invitation = "Click here or press Tab to use the keys";
    const idle = h("div", "wb-idle", { "aria-hidden": "true" }, invitation);
    const foot = h("div", "wb-foot", {}, this.status, idle, this.keys);
    this.root.replaceChildren(this.buildHead(), ...content, this.alert, foot);
    for (const { body } of this.cards) this.sizes.observe(body.firstChild);
  }

  buildHead() {
    const { done, total, pace, rater } = this.view;
    const unit = { ranking: "ranked", pairwise: "compared" }[this.view.mode] ?? "rated";
    const left = total - done;
    const speed = pace && left ? `${duration(pace)} each, ${duration(pace * left)} left` : "";
    const bar = h("div", "wb-bar", {
      role: "progressbar",
      "aria-label": "Progress",
      "aria-valuemin": "0",
      "aria-valuemax": String(total),
      "aria-valuenow": String(done),
    });
    bar.append(h("div", "wb-bar-done"));
    bar.firstChild.style.width = `${(100 * done) / total}%`;
    this.tick = h("span", "wb-tick");
    return h(
      "div",
      "wb-head",
      {},
      h("span", "wb-count", {}, h("b", "", {}, String(done)), ` of ${total} ${unit}`),
      h("span", "wb-quiet", {}, speed),
      h("span", "wb-space"),
      this.tick,
      h("span", "wb-quiet", {}, `Blind · ${rater}`),
      bar,
    );
  }

  buildPrompt() {
    const turns = this.view.prompt.map(({ role, html }) => {
      const text = withSafeHtml(h("div", "wb-text", { dir: "auto" }), html);
      const label = role === "user" ? "Prompt" : role[0].toUpperCase() + role.slice(1);
      return h("div", `wb-turn wb-${role}`, {}, h("div", "wb-label", {}, label), text);
    });
    return h("div", "wb-prompt", { role: "group", "aria-label": "Prompt" }, ...turns);
  }

  buildCards() {
    const cards = this.cards.map(({ card }) => card);
    return h("div", "wb-cards", { "data-count": String(this.count) }, ...cards);
  }

  buildCard(answer, i) {
    const text = withSafeHtml(h("div", "wb-text", { dir: "auto" }), answer.html);
    const body = h("div", "wb-body", {}, text);
    if (!text.textContent.trim()) body.append(h("div", "wb-note", {}, "(an empty answer)"));
    if (answer.cut_off) body.append(h("div", "wb-note", {}, "cut off at its length limit"));
    const more = h("button", "wb-more", { type: "button", onclick: () => this.toggle(i) });
    more.hidden = true;
    const rank = h("span", "wb-rank");
    const name = this.ranked
      ? h("button", "wb-place", { type: "button", onclick: () => this.press(String(i + 1)) })
      : h("span", "wb-label", {}, "Answer");
    if (this.ranked) name.append(String(i + 1));
    const corrected = h("span", "wb-corrected");
    const differs = h("span", "wb-quiet wb-differs");
    const marks = h("span", "wb-marks", {}, differs, corrected, rank);
    const head = h("div", "wb-card-head", {}, name, marks);
    const card = h("div", "wb-card", { role: "group", tabindex: "-1" }, head, body, more);
    return { card, body, text, more, rank, name, corrected, differs };
  }

  buildEnd() {
    const { done, skipped } = this.view;
    const detail = skipped
      ? `${skipped} skipped. Press s to see them again.`
      : "Every decision is in the journal.";
    return h(
      "div",
      "wb-end",
      {},
      h("div", "wb-end-mark", { "aria-hidden": "true" }, "✓"),
      h("div", "wb-end-title", {}, skipped ? `${done} judged` : "All judged"),
      h("div", "wb-quiet", {}, detail),
    );
  }

  paint() {
    const groups = this.draft.bothBad ? this.draft.groups : whole(this.draft, this.count);
    for (const [i, { card, rank, name, corrected }] of this.cards.entries()) {
      const placed = this.draft.groups.findIndex((g) => g.includes(i));
      const ghost = placed < 0;
      const at = ghost && groups ? groups.findIndex((g) => g.includes(i)) : placed;
      const label = this.rankLabel(groups ?? this.draft.groups, at);
      rank.textContent = label;
      rank.classList.toggle("wb-ghost", ghost && this.ranked);
      corrected.textContent = this.view.answers[i].correction === null ? "" : "corrected";
      card.dataset.rank = this.tone(at);
      const answer = this.count > 1 ? `Answer ${i + 1}` : "Answer";
      card.setAttribute("aria-label", label && !ghost ? `${answer}, ${label}` : answer);
      if (this.ranked) name.setAttribute("aria-label", `Place answer ${i + 1}`);
    }
    const { kind, text } = this.notice ?? {};
    this.root.classList.toggle("wb-waiting", this.pending !== null);
    this.comment.readOnly = this.pending !== null;
    if (this.editor) this.editor.textarea.readOnly = this.pending !== null;
    const alarms = kind === "error" || kind === "warning";
    this.tick.textContent = kind && !alarms ? (kind === "saved" ? `✓ ${text}` : text) : "";
    this.tick.dataset.kind = kind ?? "";
    this.alert.textContent = alarms ? text : "";
    this.paintKeys();
    this.say(this.guidance());
  }

  rankLabel(groups, at) {
    const { value, bothBad } = this.draft;
    if (this.view.mode === "stars") return value ? "★".repeat(value) + "☆".repeat(5 - value) : "";
    if (this.view.mode === "thumbs") return value === null ? "" : value ? "Good" : "Bad";
    if (bothBad) return "Bad";
    if (at < 0) return "";
    if (groups.length === 1 && groups[0].length === this.count) return "Tie";
    if (this.view.mode === "pairwise") return at === 0 ? "Better" : "";
    const shared = groups[at].length > 1 ? "=" : "";
    return shared + ordinal(at + 1);
  }

  /** The colour of a card: best, bad, placed or open. */
  tone(at) {
    const { value, bothBad } = this.draft;
    if (bothBad || (this.view.mode === "thumbs" && value === 0)) return "bad";
    if (!this.ranked) return value === null ? "open" : "best";
    if (at < 0) return "open";
    return at === 0 ? "best" : "placed";
  }

  paintKeys() {
    const both = this.count === 2 ? "both" : "all";
    const names = {
      ranking: { t: "tie", b: `${both} bad` },
      pairwise: { 1: "first", 2: "second", t: "tie", b: "both bad" },
      thumbs: { u: "good", d: "bad" },
      stars: {},
    }[this.view.mode];
    const looks = this.ranked ? { d: "differences" } : {};
    const writes = { e: "correct", c: "comment" };
    const common = { ...looks, ...writes, f: "unfold", s: "skip", z: "undo", Enter: "save" };
    if (!this.cards.some(({ more }) => !more.hidden)) delete common.f;
    if (this.count === 0) common.s = "see the skipped";
    const allowed = this.actions();
    const last = this.view.mode === "stars" ? 5 : this.count;
    const meaning = { ranking: "best first", stars: "stars" }[this.view.mode];
    const range = h("span", "wb-key", {}, h("kbd", "", {}, `1–${last}`), meaning ?? "");
    const buttons = Object.entries({ ...names, ...common })
      .filter(([key]) => key in allowed)
      .map(([key, name]) => {
        const label = key === "Enter" ? "Enter ↵" : key;
        const attributes = { type: "button", onclick: () => this.press(key) };
        const button = h("button", "wb-key", attributes, h("kbd", "", {}, label), name);
        button.classList.toggle("wb-primary", key === "Enter" && this.ready());
        const on = { t: this.draft.joining, d: this.ranked && this.compared !== null }[key];
        button.classList.toggle("wb-on", on ?? false);
        return button;
      });
    this.keys.replaceChildren(...(meaning && this.count ? [range] : []), ...buttons);
  }

  /** One line that says what to do next; screen readers hear it change. */
  guidance() {
    if (this.pending) return this.stalled ? "Enter sends it again." : "Saving…";
    if (this.count === 0) return "";
    if (this.editor) return `Correcting answer ${this.editor.answer + 1}.`;
    const { draft, count } = this;
    const told = ["saved", "undone", "skipped"].includes(this.notice?.kind);
    const saved = told ? `${this.notice.text}. ` : "";
    if (this.ready()) return `${saved}Enter saves and shows the next.`;
    if (this.view.mode === "thumbs") return `${saved}Is this answer good?`;
    if (this.view.mode === "stars") return `${saved}How good is this answer, from 1 to 5?`;
    if (draft.joining) return `The next one ties with answer ${draft.groups.at(-1).at(-1) + 1}.`;
    const open = count - draft.groups.flat().length;
    if (open === count) return `${saved}Which answer is best?`;
    return `${saved}Which is next? ${open} to place.`;
  }

  say(text, insist = false) {
    if (insist) {
      this.status.classList.remove("wb-insist");
      void this.status.offsetWidth; // restarts the animation
      this.status.classList.add("wb-insist");
    }
    if (this.status.textContent !== text) this.status.textContent = text;
  }
}

function render({ model, el }) {
  const ranking = new Ranking(model, el);
  return () => ranking.destroy();
}

export default { render };
