"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const questions = data.questions;
const $ = (id) => document.getElementById(id);
const PAGE = 60;
const DECISIVE = new Set(["keep", "relabel", "remove"]);
const KEYS = {
  "1": "first", r: "first", "2": "suggestion", s: "suggestion", "3": "relabel", c: "relabel", "4": "remove", x: "remove",
  "5": "not_duplicate", n: "not_duplicate", "0": "skip", " ": "skip",
};
let kind = "", at = 0;
let state = { answers: {}, history: [], author: "" };  // answers: question id -> {action, value, day}

// --- what survives a reload

try {
  state = { ...state, ...JSON.parse(localStorage.getItem(data.store) || "{}") };
} catch {
  tell("This browser keeps nothing for this page: download your answers before you close it.");
}

function keep() {
  try {
    localStorage.setItem(data.store, JSON.stringify(state));
  } catch {
    tell("This browser has no room for your answers: download them before you close the page.");
  }
}

function tell(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

// --- questions and answers

const shown = () => questions.filter((q) => !kind || q.kind === kind);
const twins = new Map();  // picture -> questions about it
for (const q of questions) twins.set(q.image_id, [...(twins.get(q.image_id) || []), q]);

// The answer to a question, or the decision given to another question about the same picture.
function answerTo(q) {
  const own = state.answers[q.id];
  if (own) return own;
  const other = twins.get(q.image_id).map((t) => state.answers[t.id]).find((a) => a && DECISIVE.has(a.action));
  return other ? { ...other, elsewhere: true } : undefined;
}

function answer(q, action, value = "") {
  if (action === "first") action = q.answers.find((a) => a === "keep" || a === "copy");
  if (action === "suggestion") [action, value] = q.answers.includes("suggestion") ? ["relabel", q.suggested] : [];
  if (!q.answers.includes(action)) return;
  if (action === "relabel" && !value) return choose();
  if (action === "relabel" && value === q.given) [action, value] = ["keep", ""];
  const before = {};
  for (const t of twins.get(q.image_id)) {
    const replaced = t.id === q.id || (DECISIVE.has(action) && DECISIVE.has(state.answers[t.id]?.action));
    if (!replaced) continue;
    before[t.id] = state.answers[t.id] || null;
    delete state.answers[t.id];
  }
  state.answers[q.id] = { action, value, day: new Date().toISOString().slice(0, 10) };
  state.history.push({ id: q.id, before });
  keep();
  next();
}

function undo() {
  const last = state.history.pop();
  if (!last) return;
  delete state.answers[last.id];
  for (const [id, a] of Object.entries(last.before)) if (a) state.answers[id] = a;
  keep();
  const q = questions.find((one) => one.id === last.id);
  if (q && kind && q.kind !== kind) kind = "";
  go(Math.max(0, shown().indexOf(q)));
}

// To the next question without an answer, else one further.
function next() {
  const list = shown();
  const open = list.findIndex((q, i) => i > at && !answerTo(q));
  go(open >= 0 ? open : Math.min(at + 1, list.length - 1));
}

function go(place) {
  at = Math.min(Math.max(place, 0), Math.max(shown().length - 1, 0));
  $("choose").hidden = true;
  draw();
}

// --- the file

// As pipeline_lib/csv_cells.py: a spreadsheet must not run a cell.
const guarded = (cell) => (/^'*[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell);
const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

function lines() {
  const rows = [];
  for (const q of questions) {
    const a = state.answers[q.id];
    if (!a || a.action === "skip" || a.action === "copy") continue;
    rows.push([q.key_type, q.key, a.action, a.value, q.given, `review: ${q.kind.replaceAll("_", " ")}`, state.author, a.day]);
  }
  return [data.columns, ...rows].map((row) => row.map((cell) => quoted(guarded(cell))).join(",") + "\n").join("");
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines()], { type: "text/csv" }));
  link.download = "review-answers.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// --- drawing; text goes in as text, never as HTML

function element(tag, text = "", name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

const blocks = new Map();
function uri(number) {
  const block = Math.floor(number / data.block);
  if (!blocks.has(block)) blocks.set(block, JSON.parse($(`pictures-${block}`).textContent));
  return blocks.get(block)[number % data.block];
}

function picture(number, words) {
  if (number === null) return element("div", "no picture", "none");
  const made = element("img");
  made.src = uri(number);
  made.alt = words;
  if (made.src.startsWith("data:image/png")) made.className = "tiny";
  return made;
}

function figure(number, label, fate, image_id) {
  const made = element("figure");
  made.title = image_id;
  const caption = element("figcaption");
  caption.append(element("b", label || "no class"), " ", element("small", fate));
  made.append(picture(number, `picture ${image_id}`), caption);
  return made;
}

function odds(label, share) {
  const row = element("div");
  const bar = element("meter");
  bar.value = share;
  bar.setAttribute("aria-label", `probability of ${label}`);
  row.append(element("span", label), bar, element("span", `${(100 * share).toFixed(1)} %`, "n"));
  return row;
}

function words(q, action) {
  return {
    keep: "Label is right", copy: "It is a copy", suggestion: `It is ${q.suggested}`, relabel: "Another class …",
    remove: "Remove the picture", not_duplicate: "Not a duplicate", skip: "Skip",
  }[action];
}

const said = (a) => ({ relabel: `→ ${a.value}`, keep: "right", copy: "a copy", remove: "removed", not_duplicate: "no copy", skip: "skipped" }[a.action]);
const key = { keep: "1", copy: "1", suggestion: "2", relabel: "3", remove: "4", not_duplicate: "5", skip: "0" };

function drawQuestion(q, number, of) {
  $("pictures").replaceChildren(figure(q.picture, q.given, q.copies.length ? "this picture" : "", q.image_id),
    ...q.copies.map((c) => figure(c.picture, c.label, c.fate, c.image_id)));
  $("pictures").classList.toggle("several", q.copies.length > 0);
  $("kind").textContent = data.kinds[q.kind].title;
  $("place").textContent = `${number + 1} of ${of}`;
  $("ask").textContent = data.kinds[q.kind].ask;
  const suggestion = q.suggested && q.suggested !== q.given;
  $("labels").replaceChildren(element("small", "labelled "), element("span", q.given || "no class", suggestion ? "was" : ""), ...(suggestion ? [" → ", element("b", q.suggested)] : []));
  $("odds").replaceChildren(...(q.p_given === null || q.p_suggested === null ? [] : [odds(q.given, q.p_given), odds(q.suggested, q.p_suggested)]));
  $("votes").replaceChildren(...q.votes.map(([who, label]) => { const v = element("span", `${who}: `, "vote"); v.append(element("b", label)); return v; }));
  $("note").textContent = q.note;
  $("name").textContent = q.image_id;
  const given = answerTo(q);
  $("answers").replaceChildren(...q.answers.map((action) => {
    const button = element("button", words(q, action));
    const chosen = given && !given.elsewhere && (action === "suggestion" ? given.value === q.suggested && given.action === "relabel"
      : action === given.action && !(action === "relabel" && q.answers.includes("suggestion") && given.value === q.suggested));
    if (action === "relabel" && chosen) button.textContent = `Another class: ${given.value}`;
    button.prepend(element("kbd", key[action]));
    button.setAttribute("aria-pressed", String(Boolean(chosen)));
    button.dataset.action = action;
    button.onclick = () => answer(q, action);
    return button;
  }));
  if (given?.elsewhere) $("note").textContent += `. Answered with another question: ${said(given)}.`;
}

function drawList(list) {
  const first = Math.floor(at / PAGE) * PAGE;
  $("page").textContent = `${first + 1} to ${Math.min(first + PAGE, list.length)} of ${list.length}`;
  $("earlier").disabled = first === 0;
  $("later").disabled = first + PAGE >= list.length;
  $("list").replaceChildren(...list.slice(first, first + PAGE).map((q, i) => {
    const a = answerTo(q), item = element("li"), button = element("button");
    button.append(picture(q.picture, ""), element("span", q.given || "no class"));
    if (q.suggested && q.suggested !== q.given) button.append(" → ", element("b", q.suggested));
    if (a) button.append(element("em", said(a)));
    button.className = a ? (a.action === "skip" ? "skipped" : "answered") : "";
    button.setAttribute("aria-label", `question ${first + i + 1}, ${q.given} ${a ? said(a) : "not answered"}`);
    if (first + i === at) button.setAttribute("aria-current", "true");
    button.onclick = () => { go(first + i); $("question").scrollIntoView({ block: "nearest" }); };
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
    button.onclick = () => { kind = name; at = 0; const open = shown().findIndex((q) => !answerTo(q)); go(open < 0 ? 0 : open); };
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
  if (!list.length) return tell("Nothing to ask: no label is doubted, no picture is set aside.");
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
    const item = element("li", name);
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
