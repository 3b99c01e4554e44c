// The page's side of ApprovalWidget: shows what is asked, sends one answer to it.
//
// Every text is set as text, never as HTML: a model wrote the arguments. The kernel has
// written characters that hide or reorder others by their code.

const ANSWERS = [
  ["approve", "Approve", "runs once, with exactly these arguments"],
  ["modify", "Approve as changed", "runs once, with the arguments as changed below"],
  ["reject", "Reject", "the model is told no, and why"],
  ["escalate", "Escalate", "ask the next one who may decide"],
  ["terminate", "End the run", "no more calls"],
];

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function render({ model, el }) {
  el.classList.add("wb-ask-host");
  const draw = () => {
    el.replaceChildren(page(model));
    tick(el, model);
  };
  model.on("change:view", draw);
  draw();
  const clock = setInterval(() => tick(el, model), 1000);
  return () => clearInterval(clock);
}

function page(model) {
  const view = model.get("view");
  const box = element("section", { class: "wb-ask", "data-state": view.state, "aria-label": "Approval" });
  box.append(element("p", { class: "wb-ask-task" }, view.task));
  if (view.asked) box.append(...question(model, view.asked));
  if (view.state === "works") box.append(element("p", { role: "status" }, "The run goes on…"));
  if (view.state === "stopped") box.append(goOn(model));
  if (view.state === "over") {
    box.append(element("h4", {}, "Answer"), element("pre", {}, view.answer || "(none)"));
  }
  if (view.problem) box.append(element("p", { class: "wb-ask-problem", role: "alert" }, view.problem));
  if (view.log.length) {
    const items = view.log.map((line) => element("li", {}, line));
    box.append(element("ol", { class: "wb-ask-log", "aria-label": "What happened" }, ...items));
  }
  return box;
}

function goOn(model) {
  const button = element("button", { type: "button", "data-answer": "go on" }, "Go on");
  button.addEventListener("click", () => {
    button.disabled = true;
    model.send({ do: "go on" });
  });
  return element("div", { class: "wb-ask-row" }, button, "The run stopped. What was decided stands.");
}

function question(model, asked) {
  const editor = element("textarea", {
    "aria-label": "Arguments", spellcheck: "false", rows: String(Math.min(asked.arguments.split("\n").length + 1, 20)),
  });
  editor.value = asked.arguments;
  const reason = element("input", { "aria-label": "Reason, told to the model", placeholder: "Reason, told to the model" });
  const buttons = ANSWERS.map(([answer, label, title]) => {
    const button = element("button", { type: "button", title, "data-answer": answer }, label);
    button.addEventListener("click", () => {
      for (const other of buttons) other.disabled = true;
      model.send({
        do: "decide", digest: asked.digest, answer, reason: reason.value,
        arguments: answer === "modify" ? editor.value : "",
      });
    });
    return button;
  });
  const changed = () => {
    const same = editor.value === asked.arguments;
    buttons[0].disabled = !same || late(asked);
    buttons[1].disabled = same || late(asked);
  };
  editor.addEventListener("input", changed);
  changed();
  return [
    element(
      "h4", {},
      element("code", {}, asked.tool), " ",
      element("span", { class: "wb-ask-risk", "data-risk": asked.risk }, asked.risk),
      element("small", {}, ` ${asked.reason}${asked.level ? `; escalated ${asked.level} times` : ""}`),
    ),
    editor,
    element("div", { class: "wb-ask-row" }, reason),
    element("div", { class: "wb-ask-row" }, ...buttons, element("span", { class: "wb-ask-clock", role: "timer" })),
  ];
}

// A request that expired can only be refused.
const late = (asked) => Date.parse(asked.expires) <= Date.now();

function tick(el, model) {
  const asked = model.get("view").asked;
  const clock = el.querySelector(".wb-ask-clock");
  if (!asked || !clock) return;
  const left = Math.ceil((Date.parse(asked.expires) - Date.now()) / 1000);
  clock.textContent = late(asked) ? "too late to approve: reject it, or end the run" : `${left} s left to approve`;
  if (!late(asked)) return;
  for (const answer of ["approve", "modify", "escalate"]) {
    el.querySelector(`[data-answer=${answer}]`).disabled = true;
  }
}

export default { render };
