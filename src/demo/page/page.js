// Drawing, learning and answers. The server keeps nothing of this page but what it has learned, under a name.
"use strict";

const LIMITS = Object.fromEntries(["fewest", "most", "examples"].map(
  (name) => [name, Number(document.documentElement.dataset[name])]));
const SENT_SIDE = 105;      // pixels of the image sent, as Omniglot's drawings have
const PEN = 0.028;          // width of a stroke, as part of the side
const KEY_STEP = 0.04;      // how far an arrow key moves the pen, as part of the side
const SLOW = 1000;          // milliseconds after which learning is said to compile

const $ = (id) => document.getElementById(id);
const state = {
  language: "en",
  names: [],        // of the classes
  examples: [],     // data URLs of PNG files, a list a class
  others: [],       // likewise, of the characters shown by one click
  target: 0,        // the class that the pad draws an example of; null: the pad draws what is to be recognised
  strokes: [],      // of the pad: lists of points [x, y] from 0 to 1
  shown: null,      // a drawing that is shown in place of strokes: {url, image, number}
  pen: { x: 0.5, y: 0.5, down: false, seen: false },   // moved by keys
  learned: null,    // the server's name for what it has learned
  answer: null,     // the latest probabilities
  busy: false,      // while learning
  changes: 0,       // of the examples, by which an answer to a request is known to be of older ones
  status: ["ready"],
};

// ---- words

function say(key, ...values) {
  return values.reduce((text, value, place) => text.replaceAll(`{${place}}`, value), WORDS[state.language][key]);
}

function setStatus(...status) {
  state.status = status;
  $("status").textContent = say(...status);
}

function setLanguage(language) {
  state.language = language;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = say("title");
  for (const element of document.querySelectorAll("[data-words]")) element.textContent = say(element.dataset.words);
  for (const button of document.querySelectorAll("[data-language]"))
    button.setAttribute("aria-pressed", button.dataset.language === language);
  try { localStorage.setItem("language", language); } catch { /* not kept, then */ }
  show();
}

// ---- the pad

function drawStrokes(context, side) {
  context.lineWidth = PEN * side;
  context.lineCap = context.lineJoin = "round";
  context.strokeStyle = "black";
  for (const stroke of state.strokes) {
    context.beginPath();
    context.moveTo(stroke[0][0] * side, stroke[0][1] * side);
    for (const [x, y] of stroke.length > 1 ? stroke.slice(1) : stroke) context.lineTo(x * side, y * side);
    context.stroke();
  }
}

function onPaper(context, side) {
  context.fillStyle = "white";
  context.fillRect(0, 0, side, side);
  return context;
}

function showPad() {
  const context = onPaper($("pad").getContext("2d"), $("pad").width), side = $("pad").width;
  if (state.shown) context.drawImage(state.shown.image, 0, 0, side, side);
  drawStrokes(context, side);
  if (state.pen.seen && document.activeElement === $("pad")) {
    context.strokeStyle = state.pen.down ? "#cf222e" : "#0969da";
    context.lineWidth = 3;
    context.beginPath();
    context.arc(state.pen.x * side, state.pen.y * side, 9, 0, 7);
    context.stroke();
  }
}

function drawing() {   // what the pad shows, as a data URL, or null where it is empty
  if (state.shown) return state.shown.url;
  if (!state.strokes.length) return null;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SENT_SIDE;
  drawStrokes(onPaper(canvas.getContext("2d"), SENT_SIDE), SENT_SIDE);
  return canvas.toDataURL("image/png");
}

function clearPad() {
  state.strokes = [];
  state.shown = null;
  state.pen.down = false;
  state.answer = null;
  show();
}

function begin(point) {
  state.shown = null;
  state.strokes.push([point]);
  showPad();
}

function pointOf(event) {
  const box = $("pad").getBoundingClientRect();
  const within = (value) => Math.min(1, Math.max(0, value));
  return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
}

function followPointer() {
  const pad = $("pad");
  let pointer = null;   // the one that draws; another finger does not
  pad.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    pad.setPointerCapture(pointer);
    state.pen.seen = state.pen.down = false;
    begin(pointOf(event));
  });
  pad.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const all = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    state.strokes.at(-1)?.push(...(all.length ? all : [event]).map(pointOf));
    showPad();
  });
  for (const kind of ["pointerup", "pointercancel"])
    pad.addEventListener(kind, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      ended();
    });
}

function followKeys() {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  $("pad").addEventListener("keydown", (event) => {
    const { pen } = state;
    if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) begin([pen.x, pen.y]);
      else ended();
    } else if (event.key in moves) {
      const [x, y] = moves[event.key].map((way) => way * KEY_STEP);
      [pen.x, pen.y] = [pen.x + x, pen.y + y].map((value) => Math.min(1, Math.max(0, value)));
      if (pen.down && state.strokes.length) state.strokes.at(-1).push([pen.x, pen.y]);
    } else return;
    pen.seen = true;
    event.preventDefault();
    showPad();
  });
  for (const kind of ["focus", "blur"]) $("pad").addEventListener(kind, showPad);
}

function ended() {   // a stroke
  show();
  ask();
}

// ---- examples

const firstMissing = () => state.examples.findIndex((images) => !images.length);   // a class; -1: none

function whatNext() {   // as a status
  const missing = firstMissing();
  return missing < 0 ? ["ready"] : ["missing", state.names[missing]];
}

function changeExamples() {   // what was learned is of other examples
  state.learned = state.answer = null;
  state.changes += 1;
}

function keep() {   // the drawing as an example of the class it is drawn for; whether that could be
  const url = drawing();
  if (state.target === null || !url) return true;
  const images = state.examples[state.target];
  if (images.length === LIMITS.examples) {
    setStatus("full", state.names[state.target], LIMITS.examples);
    return false;
  }
  images.push(url);
  changeExamples();
  state.others = [];
  clearPad();
  setStatus(...whatNext());
  return true;
}

function aim(target) {
  if (!keep()) return;
  state.target = target;
  clearPad();
}

function setWays(ways) {
  while (state.names.length < ways) {
    state.names.push(String.fromCharCode(65 + state.names.length));
    state.examples.push([]);
  }
  state.names.length = state.examples.length = ways;
  state.others = [];
  changeExamples();
  if (state.target === null || state.target >= ways) state.target = 0;
  setStatus(...whatNext());
  clearPad();
}

function pressKeep() {
  if (state.target === null) return ask();
  if (!drawing()) return setStatus("empty");
  if (!keep()) return undefined;
  const next = firstMissing();
  if (next >= 0) state.target = next;
  return show();
}

// ---- requests

class Problem extends Error {   // what setStatus is to say of it
  constructor(...status) {
    super(status.join(" "));
    this.status = status;
  }
}

async function request(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem("unreachable");
  }
  if (response.ok) return response.json();
  if (response.status in WORDS.en) throw new Problem(String(response.status));
  const reason = await response.json().catch(() => ({ error: response.statusText }));
  throw new Problem("refused", reason.error);
}

async function learn() {
  if (state.busy || !keep()) return false;
  if (firstMissing() >= 0) {
    setStatus(...whatNext());
    return false;
  }
  state.busy = true;
  setStatus("learning");
  show();
  const slow = setTimeout(() => setStatus("compiling"), SLOW), { changes } = state;
  try {
    const result = await request("/api/learn", { classes: state.examples });
    if (state.changes !== changes) setStatus(...whatNext());
    else {
      state.learned = result.name;
      state.target = null;
      setStatus("learned", state.examples.length, (result.milliseconds / 1000).toFixed(2));
    }
  } catch (problem) {
    fail(problem);
  } finally {
    clearTimeout(slow);
    state.busy = false;
    if (state.changes === changes) clearPad();
    else show();
  }
  return state.learned !== null;
}

let asking = false, again = false;   // one question at a time; the latest drawing follows

async function ask() {
  if (state.learned === null || state.target !== null) return;
  if (asking) {
    again = true;
    return;
  }
  const { learned, shown } = state, image = drawing();
  if (!image) return;
  asking = true;
  try {
    const { probabilities } = await request("/api/answer", { name: learned, image });
    if (state.learned === learned && state.target === null && drawing()) {
      state.answer = probabilities;
      report(shown && state.shown === shown ? shown : null);
    }
  } catch (problem) {
    if (problem.message === "410") state.learned = null;
    fail(problem);
  } finally {
    asking = false;
    show();
  }
  if (again) {
    again = false;
    await ask();
  }
}

function report(shown) {
  const best = state.answer.indexOf(Math.max(...state.answer)), percent = (100 * state.answer[best]).toFixed(1);
  if (!shown) setStatus("taken", state.names[best], percent);
  else if (shown.number === best) setStatus("shownRight", state.names[best], percent);
  else setStatus("shownWrong", state.names[shown.number], state.names[best], percent);
}

function fail(problem) {
  setStatus(...(problem.status ?? ["refused", problem.message]));
}

async function tryCharacters() {
  if (state.busy) return;
  const { changes } = state;
  try {
    const found = await request(`/api/characters?classes=${state.names.length}&examples=${$("shots").value}`);
    if (state.busy || state.changes !== changes) return;
    state.strokes = [];
    state.shown = null;
    state.examples = found.classes.map((each) => each.examples);
    changeExamples();
    state.others = found.classes.map((each) => each.others);
    if (await learn()) await showAnother();
  } catch (problem) {
    fail(problem);
  }
}

async function showAnother() {
  const number = Math.floor(Math.random() * state.others.length), image = new Image();
  image.src = state.others[number][Math.floor(Math.random() * state.others[number].length)];
  await image.decode();
  clearPad();
  state.shown = { url: image.src, image, number };
  state.target = null;
  show();
  await ask();
}

// ---- what is seen

function make(kind, properties, ...children) {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
}

function showClasses() {
  const focused = document.activeElement?.id;
  $("classes").replaceChildren(...state.names.map((name, number) => {
    const input = make("input", { id: `name-${number}`, value: name, maxLength: 20, ariaLabel: say("name", number + 1) });
    const button = make("button", { id: `draw-${number}`, type: "button", textContent: "✎",
                                    ariaLabel: say("draw", name), ariaPressed: String(state.target === number) });
    input.addEventListener("change", () => {   // the list itself stays: a click may be on its way to one of its buttons
      state.names[number] = input.value = input.value.trim() || state.names[number];
      button.ariaLabel = say("draw", state.names[number]);
      showBars();
      showTitle();
    });
    button.addEventListener("click", () => aim(number));
    const thumbs = state.examples[number].map((url, place) => {
      const thumb = make("button", { id: `thumb-${number}-${place}`, type: "button", className: "thumb",
                                     ariaLabel: say("remove", place + 1, name) },
                         make("img", { src: url, alt: "" }));
      thumb.addEventListener("click", () => remove(number, place));
      return thumb;
    });
    return make("li", {}, input, button, ...thumbs);
  }));
  if (focused && document.activeElement?.id !== focused) $(focused)?.focus();
}

function remove(number, place) {
  state.examples[number].splice(place, 1);
  state.others = [];
  changeExamples();
  if (state.target === null) state.target = number;
  setStatus(...whatNext());
  show();
  $(`draw-${number}`).focus();
}

function showBars() {
  const answer = state.answer ?? state.names.map(() => 0);
  const best = Math.max(...answer);
  $("bars").replaceChildren(...(state.learned === null ? [] : answer.map((value, number) => make(
    "li", { className: value === best && value > 0 ? "best" : "" },
    make("span", { className: "label", textContent: state.names[number] }),
    make("progress", { max: 1, value, ariaLabel: state.names[number] }),
    make("span", { className: "number", textContent: state.answer ? `${(100 * value).toFixed(1)} %` : "–" })))));
}

function showTitle() {
  $("pad-title").textContent = state.target === null ? say("padQuestion") : say("padExample", state.names[state.target]);
}

function show() {
  showClasses();
  showBars();
  showPad();
  showTitle();
  $("keep").textContent = say(state.target === null ? "question" : "keep");
  $("status").textContent = say(...state.status);
  $("ways").value = state.names.length;
  $("learn").disabled = $("characters").disabled = state.busy;
  $("another").hidden = !state.others.length || state.learned === null;
}

function fill(select, from, to, chosen) {
  for (let number = from; number <= to; number += 1) select.append(make("option", { value: number, textContent: number }));
  select.value = chosen;
}

function start() {
  fill($("ways"), LIMITS.fewest, LIMITS.most, 5);
  fill($("shots"), 1, LIMITS.examples, 1);
  $("ways").addEventListener("change", () => setWays(Number($("ways").value)));
  $("characters").addEventListener("click", tryCharacters);
  $("another").addEventListener("click", showAnother);
  $("learn").addEventListener("click", learn);
  $("keep").addEventListener("click", pressKeep);
  $("clear").addEventListener("click", clearPad);
  $("undo").addEventListener("click", () => {
    state.strokes.pop();
    state.pen.down = false;
    if (!state.strokes.length) clearPad();
    else ended();
  });
  for (const button of document.querySelectorAll("[data-language]"))
    button.addEventListener("click", () => setLanguage(button.dataset.language));
  followPointer();
  followKeys();
  let language = navigator.language;
  try { language = localStorage.getItem("language") ?? language; } catch { /* then as the browser is set */ }
  setWays(5);
  setLanguage(language.startsWith("zh") ? "zh" : "en");
}

start();
