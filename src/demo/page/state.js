// What the page knows, and how it says something. The server keeps nothing of it but what it has learned, under a name.
"use strict";

const LIMITS = Object.fromEntries(["fewest", "most", "examples", "photo"].map(
  (name) => [name, Number(document.documentElement.dataset[name])]));

const $ = (id) => document.getElementById(id);
const state = {
  language: "en",
  names: [],        // of the classes
  examples: [],     // of each class: {url, seen}, data URLs of what was given and of what the network sees, if known
  others: [],       // data URLs for each of the characters that one click has shown
  target: 0,        // the class that the pad shows an example of; null: it shows what is to be recognised
  strokes: [],      // of the pad: lists of points [x, y] from 0 to 1
  shown: null,      // a picture in place of strokes: {url, image, number}, the last its class, where that is known
  pen: { x: 0.5, y: 0.5, down: false, seen: false },   // moved by keys
  learned: null,    // the server's name for what it has learned
  answer: null,     // the latest: {probabilities, seen, none}, the last where it may be none of the classes
  busy: false,      // while learning
  changes: 0,       // of the examples, by which an answer to a request is known to be of older ones
  status: ["ready"],
};

function say(key, ...values) {
  return values.reduce((text, value, place) => text.replaceAll(`{${place}}`, () => value), WORDS[state.language][key]);
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
