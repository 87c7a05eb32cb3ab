// The examples of each class: drawn, or photos that were chosen, taken or dropped.
"use strict";

function firstMissing(from = 0) {   // a class without examples, at `from` or in turn behind it; -1: none
  const numbers = state.names.map((_, place) => (from + place) % state.names.length);
  return numbers.find((number) => !state.examples[number].length) ?? -1;
}

function otherMissing() {   // a class without examples behind the one the pad is for; null: there is no other
  const next = state.target === null ? -1 : firstMissing(state.target + 1);
  return next < 0 || next === state.target ? null : next;
}

function pressNext() {
  const next = otherMissing();
  return next === null ? learn() : aim(next);
}

function whatNext() {   // as a status
  const missing = firstMissing();
  return missing < 0 ? ["ready"] : ["missing", state.names[missing]];
}

function changeExamples() {   // what was learned is of other examples
  state.learned = state.answer = null;
  state.others = [];
  state.changes += 1;
  keepProject();
}

function isFull(number) {
  if (state.examples[number].length < LIMITS.examples) return false;
  setStatus("full", state.names[number], LIMITS.examples);
  return true;
}

function add(number, example) {
  state.examples[number].push(example);
  setStatus("kept", state.names[number], state.examples[number].length, LIMITS.examples);
  changeExamples();
}

function keep() {   // the drawing as an example of the class it is drawn for; whether that could be
  const url = drawing();
  if (state.target === null || !url) return true;
  if (isFull(state.target)) return false;
  add(state.target, { url });
  clearPad();
  return true;
}

function aim(target) {
  if (!keep()) return;
  state.target = target;
  clearPad();
  $("work").scrollIntoView({ block: "nearest" });
}

function remove(number, place) {
  state.examples[number].splice(place, 1);
  changeExamples();
  if (state.target === null) state.target = number;
  setStatus(...whatNext());
  show();
  $(`draw-${number}`).focus();
}

function rename(number, name) {
  state.names[number] = name.trim() || state.names[number];
  keepProject();
  return state.names[number];
}

function setWays(ways) {
  while (state.names.length < ways) {
    state.names.push(String.fromCharCode(65 + state.names.length));
    state.examples.push([]);
  }
  state.names.length = state.examples.length = ways;
  changeExamples();
  if (state.target === null || state.target >= ways) state.target = 0;
  setStatus(...whatNext());
  clearPad();
}

function pressKeep() {
  if (state.target === null) return ask();
  if (!drawing()) return setStatus("empty");
  return keep();
}

// ---- photos

async function addPhotos(files, target) {   // to a class, or where that is null as what is to be recognised
  let problem = null;
  for (const file of files) {
    const images = state.examples[target];
    if (target !== null && isFull(target)) return;
    setStatus("reading", file.name);
    try {
      if (file.size > LIMITS.photo) throw new Problem("413");
      const { image: url, seen } = await request("/api/picture", file);
      if (target === null) await showPicture(url);
      else if (state.examples[target] === images && images.length < LIMITS.examples) add(target, { url, seen });
    } catch (error) {
      problem = error.status?.[0] === "refused" ? new Problem("refusedFile", file.name, error.status[1]) : error;
    }
    show();
  }
  if (problem) fail(problem);
  else if (state.status[0] === "reading") setStatus(...whatNext());
}

function chooseFiles() {
  for (const [button, input] of [["photos", "photo-files"], ["camera", "camera-file"]]) {
    $(button).addEventListener("click", () => $(input).click());
    $(input).addEventListener("change", async () => {
      const files = [...$(input).files];
      $(input).value = "";   // for the same file to be chosen again
      if (keep()) await addPhotos(files, state.target);
    });
  }
}

function whereTo(event) {   // a class, null for the question, or undefined where nothing can be dropped
  const item = event.target.closest("#classes li");
  if (item) return Number(item.dataset.number);
  return event.target.closest("#work") ? state.target : undefined;
}

function followDrops() {
  const mark = (element) => {
    for (const marked of document.querySelectorAll(".over")) marked.classList.remove("over");
    element?.classList.add("over");
  };
  document.addEventListener("dragover", (event) => {   // elsewhere too: the browser would leave the page for the file
    event.preventDefault();
    mark(event.target.closest("#classes li, #pad"));
  });
  document.addEventListener("dragleave", () => mark(null));
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    mark(null);
    const target = whereTo(event);
    if (target !== undefined) await addPhotos([...event.dataTransfer.files], target);
  });
}
