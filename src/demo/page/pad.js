// The pad: drawing by mouse, finger, pen and keys.
"use strict";

const SENT_SIDE = 105;      // pixels of the image sent, as Omniglot's drawings have
const PEN = 0.028;          // width of a stroke, as part of the side
const KEY_STEP = 0.04;      // how far an arrow key moves the pen, as part of the side

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

function drawPicture(context, side, image) {   // as large as it fits
  const scale = side / Math.max(image.width, image.height), width = scale * image.width, height = scale * image.height;
  context.drawImage(image, (side - width) / 2, (side - height) / 2, width, height);
}

function showPad() {
  const context = onPaper($("pad").getContext("2d"), $("pad").width), side = $("pad").width;
  if (state.shown) drawPicture(context, side, state.shown.image);
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

async function showPicture(url, number = null) {   // as what is to be recognised
  const image = new Image();
  image.src = url;
  await image.decode();
  clearPad();
  state.shown = { url, image, number };
  state.target = null;
  show();
  await ask();
}

function begin(point) {
  state.shown = null;
  state.strokes.push([point]);
  showPad();
}

function ended() {   // a stroke
  show();
  ask();
}

function undo() {
  state.strokes.pop();
  state.pen.down = false;
  if (!state.strokes.length) clearPad();
  else ended();
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
