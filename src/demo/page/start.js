// The beginning: what each element does, and what the browser has kept.
"use strict";

function fill(select, from, to, chosen) {
  for (let number = from; number <= to; number += 1) select.append(make("option", { value: number, textContent: number }));
  select.value = chosen;
}

function start() {
  fill($("ways"), LIMITS.fewest, LIMITS.most, 5);
  fill($("shots"), 1, LIMITS.examples, 1);
  $("ways").addEventListener("change", () => setWays(Number($("ways").value)));
  const actions = { learn, keep: pressKeep, undo, clear: clearPad, characters: tryCharacters, another: showAnother,
                    next: pressNext, download, save: saveProject, fresh: newProject,
                    load: () => $("project-file").click() };
  for (const [id, action] of Object.entries(actions)) $(id).addEventListener("click", () => action());
  $("project-file").addEventListener("change", loadProject);
  for (const button of document.querySelectorAll("[data-language]"))
    button.addEventListener("click", () => setLanguage(button.dataset.language));
  followPointer();
  followKeys();
  chooseFiles();
  followDrops();
  let language = navigator.language;
  try { language = localStorage.getItem("language") ?? language; } catch { /* then as the browser is set */ }
  const project = keptProject();
  if (project) useProject(project);
  else setWays(5);
  setLanguage(language.startsWith("zh") ? "zh" : "en");
}

start();
