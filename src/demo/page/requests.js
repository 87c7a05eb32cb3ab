// What the server is asked for: to learn, to answer, for characters to try, and for the network to take away.
"use strict";

const SOON = 300;           // milliseconds after which it is said that an answer is waited for
const SLOW = 1000;          // and after which learning is said to compile

class Problem extends Error {   // what setStatus is to say of it
  constructor(...status) {
    super(status.join(" "));
    this.status = status;
  }
}

function fail(problem) {
  setStatus(...(problem.status ?? ["refused", problem.message]));
}

async function request(path, body) {   // a file as it is, all else as JSON
  const isFile = body instanceof Blob;
  const options = body && { method: "POST", body: isFile ? body : JSON.stringify(body),
                            headers: { "Content-Type": isFile ? "application/octet-stream" : "application/json" } };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem("unreachable");
  }
  if (response.ok) return response.headers.get("Content-Type") === "application/zip" ? response.blob() : response.json();
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
    const classes = state.examples.map((images) => images.map(({ url }) => url));
    const result = await request("/api/learn", { classes });
    if (state.changes !== changes) setStatus(...whatNext());
    else hasLearned(result);
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

function hasLearned(result) {
  state.learned = result.name;
  state.target = null;
  state.examples.forEach((images, number) => images.forEach((image, place) => { image.seen = result.seen[number][place]; }));
  setStatus("learned", state.examples.length, (result.milliseconds / 1000).toFixed(2));
  $("work").scrollIntoView({ block: "nearest" });
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
  const slow = setTimeout(() => setStatus("recognising"), SOON);
  try {
    const answer = await request("/api/answer", { name: learned, image });
    if (state.learned === learned && state.target === null && drawing()) {
      state.answer = answer;
      report(shown && state.shown === shown ? shown.number : null);
    } else if (state.status[0] === "recognising") setStatus(...whatNext());
  } catch (problem) {
    if (problem.message === "410") state.learned = null;
    fail(problem);
  } finally {
    clearTimeout(slow);
    asking = false;
    show();
  }
  if (again) {
    again = false;
    await ask();
  }
}

function report(number) {   // the answer, for a drawing of the class `number`, or null where nobody knows it
  const { probabilities, none } = state.answer, best = probabilities.indexOf(Math.max(...probabilities));
  const found = state.names[best], percent = (100 * probabilities[best]).toFixed(1);
  if (number === null) setStatus(none ? "none" : "taken", found, percent);
  else if (none) setStatus("shownNone", state.names[number], found, percent);
  else if (number === best) setStatus("shownRight", found, percent);
  else setStatus("shownWrong", state.names[number], found, percent);
}

async function tryCharacters() {
  if (state.busy) return;
  const { changes } = state;
  try {
    const found = await request(`/api/characters?classes=${state.names.length}&examples=${$("shots").value}`);
    if (state.busy || state.changes !== changes) return;
    state.strokes = [];
    state.shown = null;
    state.examples = found.classes.map((each) => each.examples.map((url) => ({ url })));
    changeExamples();
    state.others = found.classes.map((each) => each.others);
    if (await learn()) await showAnother();
  } catch (problem) {
    fail(problem);
  }
}

async function showAnother() {
  const number = Math.floor(Math.random() * state.others.length), urls = state.others[number];
  await showPicture(urls[Math.floor(Math.random() * urls.length)], number);
}

async function download() {
  const { status } = state;
  $("download").disabled = true;
  setStatus("writing");
  try {
    saveAs("network.zip", await request("/api/network", { name: state.learned, names: state.names }));
    setStatus(...status);
  } catch (problem) {
    if (problem.message === "410") state.learned = null;
    fail(problem);
  } finally {
    $("download").disabled = false;
    show();
  }
}
