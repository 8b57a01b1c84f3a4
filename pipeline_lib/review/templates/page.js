// --- drawing; text goes in as text, never as HTML

// Characters that a browser would obey instead of showing them, as their escapes: as pipeline_lib/safe_text.py does.
const OBEYED = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu;
const visible = (text) => text.replace(OBEYED, (found) => {
  const code = found.codePointAt(0);
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
});

function element(tag, text = "", name = "") {
  const made = document.createElement(tag);
  made.textContent = visible(text);
  if (name) made.className = name;
  return made;
}

// A name of a file, class or person: it turns the direction of nothing beside it.
const isolated = (text) => element("bdi", text);

function named(tag, text, name = "") {
  const made = element(tag, "", name);
  made.append(isolated(text));
  return made;
}

// A button pressed from the keyboard is drawn anew: the focus goes to what took its place.
function refocus(event, selector) {
  if (event.detail === 0) document.querySelector(selector)?.focus();
}

const blocks = new Map();
function uri(number) {
  const block = Math.floor(number / data.block);
  if (!blocks.has(block)) blocks.set(block, JSON.parse($(`images-${block}`).textContent));
  return blocks.get(block)[number % data.block];
}

function image(number, words) {
  if (number === null) return element("div", "no image", "none");
  const made = element("img");
  made.src = uri(number);
  made.alt = visible(words);
  if (made.src.startsWith("data:image/png")) made.className = "tiny";
  return made;
}

function figure(number, label, fate, image_id) {
  const made = element("figure");
  made.title = visible(image_id);
  const caption = element("figcaption");
  caption.append(named("b", label || "no class"), " ", element("small", fate));
  made.append(image(number, `image ${image_id}`), caption);
  return made;
}

function odds(label, share) {
  const row = element("div");
  const bar = element("progress");
  bar.value = share;
  bar.setAttribute("aria-label", visible(`probability of ${label}`));
  row.append(named("span", label), bar, element("span", `${(100 * share).toFixed(1)} %`, "n"));
  return row;
}

function words(q, action) {
  return {
    keep: ["Label is right"], copy: ["It is a copy"], suggestion: ["It is ", isolated(q.suggested || "")],
    relabel: ["Another class …"], remove: ["Remove the image"], not_duplicate: ["Not a duplicate"], skip: ["Skip"],
  }[action];
}

const said = (a) => ({
  relabel: `→ ${a.value}`, keep: "right", copy: "a copy", remove: "removed", not_duplicate: "no copy", skip: "skipped",
}[a.action]);
const key = { keep: "1", copy: "1", suggestion: "2", relabel: "3", remove: "4", not_duplicate: "5", skip: "0" };

function drawQuestion(q, number, of) {
  $("images").replaceChildren(figure(q.image, q.given, q.copies.length ? "this image" : "", q.image_id),
    ...q.copies.map((c) => figure(c.image, c.label, c.fate, c.image_id)));
  $("images").classList.toggle("several", q.copies.length > 0);
  $("kind").textContent = data.kinds[q.kind].title;
  $("place").textContent = `${number + 1} of ${of}`;
  $("ask").textContent = data.kinds[q.kind].ask;
  const suggestion = q.suggested && q.suggested !== q.given;
  $("labels").replaceChildren(element("small", "labelled "), named("span", q.given || "no class", suggestion ? "was" : ""));
  if (suggestion) $("labels").append(" → ", named("b", q.suggested));
  const judged = q.p_given !== null && q.p_suggested !== null;
  $("odds").replaceChildren(...(judged ? [odds(q.given, q.p_given), odds(q.suggested, q.p_suggested)] : []));
  $("votes").replaceChildren(...q.votes.map(([who, label]) => {
    const vote = named("span", who);
    vote.append(": ", named("b", label));
    return vote;
  }));
  $("note").textContent = visible(q.note);
  $("name").replaceChildren(isolated(q.image_id));
  const given = answerTo(q);
  $("answers").replaceChildren(...q.answers.map((action) => {
    const button = element("button");
    button.append(...words(q, action));
    const taken = given?.action === "relabel" && given.value === q.suggested && q.answers.includes("suggestion");
    const chosen = given && !given.elsewhere && (taken ? action === "suggestion" : action === given.action);
    if (action === "relabel" && chosen) button.replaceChildren("Another class: ", isolated(given.value));
    button.prepend(element("kbd", key[action]));
    button.setAttribute("aria-pressed", String(Boolean(chosen)));
    button.dataset.action = action;
    button.onclick = (event) => { answer(q, action); if ($("choose").hidden) refocus(event, "#answers button"); };
    return button;
  }));
  if (given?.elsewhere) $("note").textContent += visible(`. Answered with another question: ${said(given)}.`);
}

function drawList(list) {
  const first = Math.floor(at / PAGE) * PAGE;
  $("page").textContent = `${first + 1} to ${Math.min(first + PAGE, list.length)} of ${list.length}`;
  $("earlier").disabled = first === 0;
  $("later").disabled = first + PAGE >= list.length;
  $("list").replaceChildren(...list.slice(first, first + PAGE).map((q, i) => {
    const a = answerTo(q), item = element("li"), button = element("button");
    button.append(image(q.image, ""), named("span", q.given || "no class"));
    if (q.suggested && q.suggested !== q.given) button.append(" → ", named("b", q.suggested));
    if (a) button.append(named("em", said(a)));
    button.className = a ? (a.action === "skip" ? "skipped" : "answered") : "";
    button.setAttribute("aria-label", visible(`question ${first + i + 1}, ${q.given} ${a ? said(a) : "not answered"}`));
    if (first + i === at) button.setAttribute("aria-current", "true");
    button.onclick = (event) => {
      go(first + i);
      $("question").scrollIntoView({ block: "nearest" });
      refocus(event, "#list [aria-current]");
    };
    item.append(button);
    return item;
  }));
}

function drawKinds() {
  const names = ["", ...Object.keys(data.kinds)];
  $("kinds").replaceChildren(...names.map((name) => {
    const of = questions.filter((q) => !name || q.kind === name);
    const button = element("button", name ? data.kinds[name].title : "All");
    button.append(" ", element("small", `${of.filter(answerTo).length}/${of.length}`));
    button.setAttribute("aria-pressed", String(kind === name));
    button.onclick = (event) => {
      kind = name;
      go(Math.max(0, shown().findIndex((q) => !answerTo(q))));
      refocus(event, "#kinds [aria-pressed=true]");
    };
    return button;
  }));
}

function draw() {
  const list = shown(), done = questions.filter(answerTo).length;
  $("done").value = done;
  $("count").textContent = `${done} of ${questions.length} answered`;
  $("undo").disabled = !state.history.length;
  drawKinds();
  $("question").hidden = !list.length;
  if (!list.length) return tell("Nothing to ask: no label is doubted, no image is set aside.");
  drawQuestion(list[at], at, list.length);
  drawList(list);
}

// --- choosing a class by typing

let marked = 0;
function choose() {
  $("choose").hidden = false;
  $("typed").value = "";
  marked = 0;
  drawClasses();
  $("typed").focus();
}

// Those that begin with what was typed come before those that contain it.
function matching() {
  const text = $("typed").value.trim().toLowerCase();
  const begin = (name) => name.toLowerCase().startsWith(text), hold = (name) => name.toLowerCase().includes(text);
  return [...data.classes.filter(begin), ...data.classes.filter((name) => !begin(name) && hold(name))].slice(0, 8);
}

function drawClasses() {
  const names = matching();
  marked = Math.min(marked, Math.max(names.length - 1, 0));
  $("found").replaceChildren(...names.map((name, i) => {
    const item = named("li", name);
    item.id = `class-${i}`;
    item.role = "option";
    item.setAttribute("aria-selected", String(i === marked));
    item.onclick = () => answer(shown()[at], "relabel", name);
    return item;
  }));
  if (!names.length) $("found").replaceChildren(element("li", "no such class; a new one is made in curation/overrides.csv", "soft"));
  $("typed").setAttribute("aria-activedescendant", `class-${marked}`);
}

$("typed").oninput = () => { marked = 0; drawClasses(); };
$("choose").onsubmit = (event) => {
  event.preventDefault();
  const name = matching()[marked];
  if (name !== undefined) answer(shown()[at], "relabel", name);
  $("typed").blur();
};

// --- keys and buttons

function typing(event) {
  if (event.key === "Escape") { $("choose").hidden = true; $("typed").blur(); }
  if (event.target !== $("typed") || !event.key.startsWith("Arrow")) return;
  marked = Math.max(0, marked + (event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0));
  drawClasses();
  if (event.key === "ArrowDown" || event.key === "ArrowUp") event.preventDefault();
}

document.addEventListener("keydown", (event) => {
  if ($("keys").open) return;
  if (event.target instanceof HTMLInputElement) return typing(event);
  const undoing = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey);
  if (!undoing && (event.ctrlKey || event.metaKey || event.altKey)) return;
  if (event.key === " " && event.target instanceof HTMLButtonElement) return;  // a button that has the focus
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (pressed === "ArrowRight" || pressed === "j") go(at + 1);
  else if (pressed === "ArrowLeft" || pressed === "k") go(at - 1);
  else if (pressed === "u" || undoing) undo();
  else if (pressed === "d") download();
  else if (pressed === "?") $("keys").showModal();
  else if (pressed === "Escape") $("choose").hidden = true;
  else if (KEYS[pressed] && shown().length) answer(shown()[at], KEYS[pressed]);
  else return;
  event.preventDefault();
});

$("undo").onclick = undo;
$("save").onclick = download;
$("help").onclick = () => $("keys").showModal();
$("earlier").onclick = () => go((Math.floor(at / PAGE) - 1) * PAGE);
$("later").onclick = () => go((Math.floor(at / PAGE) + 1) * PAGE);
$("author").value = state.author;
$("author").oninput = () => { state.author = $("author").value.trim(); keep(); };

go(Math.max(0, questions.findIndex((q) => !answerTo(q))));
