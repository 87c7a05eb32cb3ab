// A project: the names of the classes and their examples. The browser keeps it over a reload; a file holds it for longer.
"use strict";

const PROJECT = "few-shot drawings 1";   // what a file of this kind, in this form, begins with
const IMAGE = /^data:image\/(png|jpeg);base64,[A-Za-z0-9+/=]+$/;
const LONGEST_NAME = 20, LONGEST_URL = 140000;   // letters

function projectText() {
  const classes = state.names.map((name, number) => ({ name, examples: state.examples[number].map(({ url }) => url) }));
  return JSON.stringify({ kind: PROJECT, classes });
}

function readProject(text) {   // {names, examples}, or null where the text is none
  try {
    const { kind, classes } = JSON.parse(text);
    const isName = (name) => typeof name === "string" && name.trim() && name.length <= LONGEST_NAME;
    const isImage = (url) => typeof url === "string" && url.length <= LONGEST_URL && IMAGE.test(url);
    const isGood = kind === PROJECT && classes.length >= LIMITS.fewest && classes.length <= LIMITS.most
      && classes.every(({ name, examples }) => isName(name) && Array.isArray(examples)
                       && examples.length <= LIMITS.examples && examples.every(isImage));
    return isGood ? { names: classes.map(({ name }) => name),
                      examples: classes.map(({ examples }) => examples.map((url) => ({ url }))) } : null;
  } catch {
    return null;
  }
}

function useProject(project) {
  Object.assign(state, project, { target: 0 });
  changeExamples();
  setStatus(...whatNext());
  clearPad();
}

function keepProject() {
  try {
    localStorage.setItem("project", projectText());
  } catch {
    setStatus("notKept");
  }
}

function keptProject() {
  try { return readProject(localStorage.getItem("project")); } catch { return null; }
}

function saveAs(name, blob) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);   // when the browser has surely begun to read it
}

function saveProject() {
  keep();
  saveAs("drawings.json", new Blob([projectText()], { type: "application/json" }));
}

async function loadProject() {
  const [file] = $("project-file").files;
  $("project-file").value = "";
  const project = file && readProject(await file.text());
  if (project) useProject(project);
  else if (file) setStatus("noProject", file.name);
}

function newProject() {
  if (!state.examples.some((images) => images.length) || confirm(say("sure"))) {
    const ways = state.names.length;
    useProject({ names: [], examples: [] });
    setWays(ways);
  }
}
