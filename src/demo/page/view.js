// What is seen: the elements are made anew from the state whenever it changes.
"use strict";

function make(kind, properties, ...children) {
  const element = Object.assign(document.createElement(kind), properties);
  element.append(...children);
  return element;
}

function showClasses() {
  const focused = document.activeElement?.id;
  $("classes").replaceChildren(...state.names.map(classItem));
  if (focused && document.activeElement?.id !== focused) $(focused)?.focus();
}

function classItem(name, number) {
  const input = make("input", { id: `name-${number}`, value: name, maxLength: LONGEST_NAME, autocomplete: "off",
                                ariaLabel: say("name", number + 1) });
  const button = make("button", { id: `draw-${number}`, type: "button", textContent: "✎",
                                  ariaLabel: say("draw", name), ariaPressed: String(state.target === number) });
  input.addEventListener("change", () => {   // the list itself stays: a click may be on its way to one of its buttons
    input.value = rename(number, input.value);
    button.ariaLabel = say("draw", state.names[number]);
    showBars();
    showTitle();
  });
  button.addEventListener("click", () => aim(number));
  const item = make("li", { className: state.target === number ? "aimed" : "" }, input, button,
                    ...state.examples[number].map((example, place) => thumb(example, number, place)));
  item.dataset.number = number;
  return item;
}

function thumb({ url, seen }, number, place) {   // what was given, and what the network sees of it
  const button = make("button", { id: `thumb-${number}-${place}`, type: "button", className: "thumb",
                                  ariaLabel: say("remove", place + 1, state.names[number]) },
                      make("img", { src: url, alt: "" }));
  if (seen) button.append(make("img", { src: seen, alt: "", className: "seen", title: say("seen") }));
  button.addEventListener("click", () => remove(number, place));
  return button;
}

function showBars() {
  const { probabilities, none } = state.answer ?? { probabilities: state.names.map(() => 0), none: true };
  const best = none ? null : Math.max(...probabilities);
  $("bars").replaceChildren(...(state.learned === null ? [] : probabilities.map((value, number) => make(
    "li", { className: value === best ? "best" : "" },
    make("span", { className: "label", textContent: state.names[number] }),
    make("span", { className: "number", textContent: state.answer ? `${(100 * value).toFixed(1)} %` : "–" }),
    make("progress", { max: 1, value, ariaLabel: state.names[number] })))));
  if (state.answer?.none) $("bars").append(make("li", { className: "best", textContent: say("noneOfThese") }));
}

function showTitle() {
  $("pad-title").textContent = state.target === null ? say("padQuestion") : say("padExample", state.names[state.target]);
}

function showButtons() {
  const next = otherMissing();
  $("keep").textContent = say(state.target === null ? "question" : "keep");
  $("next").textContent = next === null ? say("learn") : say("next", state.names[next]);
  $("next").hidden = state.target === null;
  $("learn").disabled = $("next").disabled = $("characters").disabled = state.busy;
  $("another").hidden = !state.others.length || state.learned === null;
  $("download").hidden = state.learned === null;
}

function show() {
  showClasses();
  showBars();
  showPad();
  showTitle();
  showButtons();
  $("board").classList.toggle("answers", state.learned !== null);
  $("seen").hidden = !state.answer?.seen;
  if (state.answer?.seen) $("seen-image").src = state.answer.seen;
  $("status").textContent = say(...state.status);
  $("ways").value = state.names.length;
}
