"use strict";
// One picture with its labels as SVG. All text is set as text, never as markup.

const facts = JSON.parse(document.getElementById("facts").textContent);
const numberOf = new Map(facts.keypoints.map((keypoint, number) => [keypoint.name, number]));

function say(key, values = {}) {
  return facts.words[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null).map((child) =>
    child instanceof Node ? child : document.createTextNode(String(child))));
  return element;
}

function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

// x, y and v of a label's keypoint, or null when it is not labelled.
function pointOf(label, number) {
  const [x, y, v] = label.points.slice(3 * number, 3 * number + 3);
  return v > 0 && x !== null && y !== null ? { x, y, v } : null;
}

// The levels of what is marked: by annotation id, then by keypoint number, or -1 for the whole object.
function marksOf(picture) {
  const marks = new Map();
  for (const finding of picture.findings.filter((f) => f.annotation !== null)) {
    const held = marks.get(finding.annotation) || new Map();
    marks.set(finding.annotation, held);
    const numbers = finding.keypoints.map((name) => numberOf.get(name)).filter((n) => n !== undefined);
    for (const number of numbers.length ? numbers : [-1]) {
      held.set(number, finding.level === "error" || held.get(number) === "error" ? "error" : "warning");
    }
  }
  return marks;
}

function twice(tag, attributes, under, over) {
  return [draw(tag, { ...attributes, class: under }), draw(tag, { ...attributes, ...over })];
}

function drawBox(label, marks, unit, words) {
  const group = draw("g", { class: "of-boxes" });
  const anchor = label.box || (label.points.length ? [...Object.values(firstPoint(label)), 0, 0] : null);
  if (label.box) {
    const [x, y, width, height] = label.box;
    const place = { x: x + Math.min(0, width), y: y + Math.min(0, height), width: Math.abs(width),
      height: Math.abs(height) };
    group.append(...twice("rect", place, "box-under", { class: `box${label.crowd ? " crowd" : ""}` }));
    if (marks.has(-1)) group.append(draw("rect", { ...place, class: `mark ${marks.get(-1)}` }));
  }
  if (words && anchor && anchor[0] !== undefined) {
    group.append(write(anchor[0], anchor[1] - 4 * unit, 13, unit, `${label.class} #${label.id}`));
  }
  return group;
}

function firstPoint(label) {
  for (let n = 0; 3 * n < label.points.length; n += 1) {
    const point = pointOf(label, n);
    if (point) return { x: point.x, y: point.y };
  }
  return {};
}

function drawLines(label) {
  const lines = [];
  const between = (a, b) => {
    const [from, to] = [pointOf(label, a), pointOf(label, b)];
    return from && to ? { x1: from.x, y1: from.y, x2: to.x, y2: to.y } : null;
  };
  for (const [a, b] of facts.links) {
    const place = between(a, b);
    const [first, second] = [facts.keypoints[a].colour, facts.keypoints[b].colour];
    if (place) {
      lines.push(draw("g", { class: "of-links" }, ...twice("line", place, "under",
        { class: "link", stroke: first === second ? first : "#64dc50" })));
    }
  }
  for (const [a, b] of facts.swaps) {
    const place = between(a, b);
    if (place) lines.push(draw("line", { ...place, class: "swap of-swaps" }));
  }
  return lines;
}

function write(x, y, size, unit, ...children) {
  const text = draw("text", { x, y, "font-size": size * unit }, ...children);
  text.style.strokeWidth = 3 * unit;
  return text;
}

function drawWords(label, number, unit) {
  const point = pointOf(label, number);
  return point && draw("g", { class: "of-points" }, write(point.x + 8 * unit, point.y + 4 * unit, 12, unit,
    draw("tspan", { class: "of-numbers" }, `${number + 1} `),
    draw("tspan", { class: "of-names" }, facts.keypoints[number].name)));
}

function drawPoint(label, number, level, unit) {
  const point = pointOf(label, number);
  if (!point) return null;
  const { name, colour } = facts.keypoints[number];
  const place = { cx: point.x, cy: point.y };
  const group = draw("g", { class: "point of-points", "data-annotation": label.id, "data-number": number,
    role: "img", "aria-label": `${number + 1} ${name}, ${say(point.v === 1 ? "v1" : "v2")}` });
  if (point.v === 1) {
    group.append(...twice("circle", { ...place, r: 4.5 * unit }, "ring-under", { class: "ring", stroke: colour }));
  } else {
    group.append(draw("circle", { ...place, r: 4 * unit, class: "disc" }));
    group.lastChild.style.fill = colour;
  }
  if (level) group.append(draw("circle", { ...place, r: 9 * unit, class: `mark ${level}` }));
  return group;
}

// The labels of a picture; `unit` is how many of its px one px of the screen shows.
function drawLabels(picture, unit, words) {
  const marks = marksOf(picture);
  // Pixel (0, 0) is centred at (0, 0) in COCO files here, and at (0.5, 0.5) in SVG.
  const layer = draw("g", { class: "labels", transform: "translate(0.5 0.5)" });
  const each = (part) => layer.append(...picture.labels.flatMap((label) =>
    part(label, marks.get(label.id) || new Map())).filter((child) => child !== null));
  const numbers = (label) => [...Array(label.points.length / 3).keys()];
  // What could cover a point comes before all points.
  each((label) => label.outlines.map((xy) => draw("polygon", { points: xy.join(" "), class: "outline of-outlines" })));
  each((label, mine) => [drawBox(label, mine, unit, words), ...drawLines(label)]);
  if (words) each((label) => numbers(label).map((number) => drawWords(label, number, unit)));
  const size = words ? unit : 0.7 * unit;
  each((label, mine) => numbers(label).map((number) => drawPoint(label, number, mine.get(number), size)));
  return layer;
}

function drawPicture(picture, number) {
  const jpeg = document.getElementById(`jpeg-${number}`).textContent;
  const { width, height, name } = picture;
  return draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name },
    draw("image", { href: `data:image/jpeg;base64,${jpeg}`, width, height, preserveAspectRatio: "none" }));
}
