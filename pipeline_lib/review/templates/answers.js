"use strict";
// The review page, first half: questions, answers, and the file they leave in. page.js draws and listens.
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
const twins = new Map();  // image -> questions about it
for (const q of questions) twins.set(q.image_id, [...(twins.get(q.image_id) || []), q]);

// The answer to a question, or the decision given to another question about the same image.
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

// As pipeline_lib/files/csv_cells.py: a spreadsheet must not run a cell.
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
