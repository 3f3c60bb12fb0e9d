// The page: filters, cards, the large view, and the address that keeps them.

const byId = (id) => document.getElementById(id);
const LOOKS = ["boxes", "outlines", "links", "points", "swaps", "names", "numbers"];
const opening = LOOKS.filter((key) => key === "names" || key === "numbers" ? facts.look.words === key : facts.look[key]);
const ORDERS = { suspicion: () => 0, name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  objects: (a, b) => b.labels.length - a.labels.length };
const blank = { q: "", split: "", class: "", keypoint: "", how: "has", finding: "", sort: "suspicion",
  show: opening.join(".") };
let state = { ...blank, open: "" };
let cards = [];
let shown = [];
let view = null;

// ---- filters

function labelFits(label) {
  if (state.class && label.class !== state.class) return false;
  if (state.keypoint === "") return true;
  const point = pointOf(label, numberOf.get(state.keypoint));
  return state.how === "lacks" ? point === null : point !== null && (state.how === "has" || point.v === 1);
}

function findingFits(picture) {
  const wanted = state.finding;
  if (!wanted) return true;
  if (wanted === "none") return picture.findings.length === 0;
  if (wanted === "any") return picture.findings.length > 0;
  const [kind, name] = [wanted.slice(0, wanted.indexOf(":")), wanted.slice(wanted.indexOf(":") + 1)];
  return picture.findings.some((finding) => finding[kind] === name);
}

function fits(picture) {
  return (!state.split || picture.split === state.split) && findingFits(picture)
    && picture.name.normalize().toLowerCase().includes(state.q.normalize().toLowerCase())
    && ((!state.class && state.keypoint === "") || picture.labels.some(labelFits));
}

function apply() {
  shown = facts.pictures.filter(fits).sort(ORDERS[state.sort] || ORDERS.suspicion);
  const numbers = new Set(shown.map((picture) => picture.number));
  cards.forEach((card, number) => { card.hidden = !numbers.has(number); });
  byId("cards").append(...shown.map((picture) => cards[picture.number]));
  const objects = shown.reduce((sum, picture) => sum + picture.labels.filter(labelFits).length, 0);
  byId("count").textContent = say("count", { shown: shown.length, all: facts.pictures.length, objects });
  byId("none").hidden = shown.length > 0;
  const visible = new Set(state.show.split("."));
  for (const look of LOOKS) document.body.classList.toggle(`hide-${look}`, !visible.has(look));
  for (const [key, control] of Object.entries(controls)) {
    control.value = state[key];
  }
  for (const box of document.querySelectorAll("input[data-look]")) box.checked = visible.has(box.dataset.look);
  controls.how.disabled = state.keypoint === "";
}

// ---- the address

function keep() {
  const pairs = Object.entries(state).filter(([key, value]) => value !== (blank[key] ?? ""));
  history.replaceState(null, "", `#${new URLSearchParams(pairs)}`);
}

function restore() {
  const wanted = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  state = { ...blank, open: "" };
  for (const key of Object.keys(state)) if (key in wanted) state[key] = wanted[key];
  // What the page does not know, as in an address of another data set, is no filter.
  for (const [key, control] of Object.entries(controls)) {
    const values = control.options && [...control.options].map((option) => option.value);
    if (values && !values.includes(state[key])) state[key] = blank[key];
  }
  apply();
  const picture = facts.pictures.find((one) => keyOf(one) === state.open);
  if (picture) openLarge(picture);
  else if (byId("large").open) byId("large").close();
}

const keyOf = (picture) => `${picture.split}/${picture.id}`;

function change(key, value) {
  state[key] = value;
  apply();
  keep();
}

// ---- controls

const controls = {};

function field(key, control) {
  controls[key] = control;
  control.name = key;
  control.addEventListener("input", () => change(key, control.value));
  return make("label", { class: "field" }, say({ q: "search", how: "keypoint_how" }[key] || key), control);
}

function choice(key, options) {
  return field(key, make("select", {}, ...options.map(([value, text]) => make("option", { value }, text))));
}

// One box for each part of the labels; beside the cards and in the large view, where they say the same.
function buildToggles() {
  const outlined = facts.pictures.some((picture) => picture.labels.some((label) => label.outlines.length));
  const offered = LOOKS.filter((key) => (key !== "outlines" || outlined) && (key !== "swaps" || facts.swaps.length));
  return offered.map((key) => {
    const box = make("input", { type: "checkbox", "data-look": key });
    box.addEventListener("input", () => {
      const visible = new Set(state.show.split("."));
      if (box.checked) visible.add(key);
      else visible.delete(key);
      change("show", LOOKS.filter((one) => visible.has(one)).join("."));
    });
    return make("label", { class: "toggle" }, box, ` ${say(key)}`);
  });
}

function buildControls() {
  const plain = (names) => [["", say("all")], ...names.map((name) => [name, name])];
  const held = facts.pictures.flatMap((picture) => [...new Set(picture.findings.map((finding) => finding.rule))]);
  const count = (rule) => held.filter((name) => name === rule).length;
  const rules = [...new Set(held)].sort((a, b) => count(b) - count(a));
  const findings = [["", say("all")], ["any", say("any_finding")], ["none", say("no_finding")],
    ["level:error", say("error")], ["level:warning", say("warning")],
    ...rules.map((rule) => [`rule:${rule}`, `${facts.rules[rule].title} (${count(rule)})`])];
  const clear = make("button", { type: "button", class: "plain", id: "clear" }, say("clear"));
  clear.addEventListener("click", () => {
    state = { ...blank, sort: state.sort, show: state.show, open: "" };
    apply();
    keep();
  });
  byId("controls").append(
    make("fieldset", {}, make("legend", {}, say("filters")),
      field("q", make("input", { type: "search", autocomplete: "off", spellcheck: "false" })),
      choice("split", plain(facts.splits)), choice("class", plain(facts.classes)),
      choice("keypoint", plain(facts.keypoints.map((keypoint) => keypoint.name))),
      choice("how", ["has", "lacks", "occluded"].map((how) => [how, say(how)])),
      choice("finding", findings),
      choice("sort", Object.keys(ORDERS).map((order) => [order, say(`by_${order}`)])), clear),
    make("fieldset", {}, make("legend", {}, say("show")), ...buildToggles()), buildLegend());
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
}

function sign(attributes) {
  const circle = draw("circle", { cx: 7, cy: 7, r: 4.5, fill: "none", "stroke-width": 2.5, ...attributes });
  return draw("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, circle);
}

function buildLegend() {
  const rows = facts.keypoints.map(({ name, colour, partner }, number) => make("li", {},
    make("span", { class: "number" }, number + 1), sign({ fill: colour, stroke: colour }),
    make("span", {}, name, partner === null ? null
      : make("span", { class: "soft" }, ` ${say("swaps_with", { name: facts.keypoints[partner].name })}`))));
  const signs = [["sign_visible", { fill: "#888", stroke: "#888" }], ["sign_occluded", { stroke: "#888" }],
    ["sign_error", { stroke: "#ff3b30", r: 5.5 }], ["sign_warning", { stroke: "#d43fca", r: 5.5 }]];
  rows.push(...signs.map(([key, look]) => make("li", {}, make("span", { class: "number" }), sign(look),
    make("span", {}, say(key)))));
  return make("fieldset", {}, make("legend", {}, say("legend")), make("ul", { id: "legend" }, ...rows),
    facts.swaps.length ? make("p", { class: "soft" }, say("legend_sides")) : null);
}

// ---- cards

function badges(findings) {
  return ["error", "warning"].map((level) => [level, findings.filter((finding) => finding.level === level).length])
    .filter(([, count]) => count > 0)
    .map(([level, count]) => make("span", { class: `badge level-${level}` }, `${count} ${say(count === 1 ? `one_${level}` : `${level}s`)}`));
}

function buildCard(picture, number) {
  picture.number = number;
  const open = make("button", { type: "button", class: "open", "aria-label": say("open", { name: picture.name }) });
  open.addEventListener("click", () => openLarge(picture));
  const first = picture.findings.slice(0, 2).map((finding) => make("li", { class: `level-${finding.level}` },
    facts.rules[finding.rule].title));
  const rest = picture.findings.length - first.length;
  if (rest > 0) first.push(make("li", { class: "soft" }, say("more", { n: rest })));
  return make("li", { class: "card", "data-name": picture.name, "data-split": picture.split }, open,
    make("div", { class: "foot" }, make("div", { class: "name", title: picture.name }, picture.name),
      make("div", { class: "sub" }, `${picture.split} · ${say("objects", { n: picture.labels.length })} `,
        ...badges(picture.findings)),
      picture.problem ? make("div", { class: "level-error" }, picture.problem) : null,
      first.length ? make("ul", {}, ...first) : null));
}

// Pictures are put into their cards when these come near the window: a page of hundreds opens at once.
const nearby = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((one) => one.isIntersecting)) {
    nearby.unobserve(entry.target);
    const number = cards.indexOf(entry.target);
    const picture = facts.pictures[number];
    const open = entry.target.querySelector(".open");
    const svg = drawPicture(picture, number);
    svg.append(drawLabels(picture, unitOf(open, picture.width, picture.height), false));
    open.append(svg);
  }
}, { rootMargin: "400px" });

function unitOf(element, width, height) {
  const place = element.getBoundingClientRect();
  return Math.max(width / Math.max(1, place.width), height / Math.max(1, place.height));
}

function moveFocus(step) {
  const at = shown.findIndex((picture) => cards[picture.number].contains(document.activeElement));
  const next = at < 0 ? undefined : shown[at + step];
  if (next) cards[next.number].querySelector(".open").focus();
}

// ---- the large view

function openLarge(picture) {
  const number = picture.number;
  const svg = drawPicture(picture, number);
  byId("stage").replaceChildren(svg);
  byId("large-name").textContent = `${picture.split}: ${picture.name}`;
  const at = shown.indexOf(picture);
  byId("large-place").textContent = [say("size", picture), at < 0 ? null
    : say("place", { n: at + 1, all: shown.length })].filter(Boolean).join(" · ");
  byId("facts-of-picture").replaceChildren(...describe(picture));
  if (!byId("large").open) byId("large").showModal();
  view = { picture, svg, box: null };
  look([0, 0, picture.width, picture.height]);
  state.open = keyOf(picture);
  keep();
}

// Shows a part of the picture: x, y, width and height in its px.
function look(box, annotation) {
  view.box = box;
  view.svg.setAttribute("viewBox", box.join(" "));
  view.svg.querySelector(".labels")?.remove();
  view.svg.append(drawLabels(view.picture, unitOf(byId("stage"), box[2], box[3]), true));
  if (annotation !== undefined) {
    view.annotation = annotation;
    for (const row of document.querySelectorAll(".object")) {
      row.setAttribute("aria-current", String(row.dataset.annotation === String(annotation)));
    }
  }
}

function zoom(factor, place) {
  const [x, y, width, height] = view.box;
  const least = 8;
  const times = Math.min(Math.max(factor, least / Math.max(width, height)),
    2 * Math.max(view.picture.width, view.picture.height) / Math.max(width, height));
  const [cx, cy] = place || [x + width / 2, y + height / 2];
  look([cx - (cx - x) * times, cy - (cy - y) * times, width * times, height * times]);
}

function pictureXY(event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(view.svg.getScreenCTM().inverse());
  return [point.x, point.y];
}

// The part of the picture that an object is in, with room around it.
function roomOf(label) {
  const xs = label.box ? [label.box[0], label.box[0] + label.box[2]] : [];
  const ys = label.box ? [label.box[1], label.box[1] + label.box[3]] : [];
  for (let n = 0; 3 * n < label.points.length; n += 1) {
    const point = pointOf(label, n);
    if (point) { xs.push(point.x); ys.push(point.y); }
  }
  if (!xs.length) return null;
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top];
  const room = Math.max(0.2 * Math.max(width, height), 4);
  return [left - room, top - room, width + 2 * room, height + 2 * room];
}

function toLabel(annotation) {
  const label = view.picture.labels.find((one) => one.id === annotation);
  const room = label && roomOf(label);
  if (room) look(room, annotation);
}

function describe(picture) {
  const problem = picture.missing ? say("missing", { why: picture.problem }) : picture.problem;
  const findings = picture.findings.map((finding) => findingRow(finding));
  return [problem ? make("p", { class: "level-error" }, problem) : null,
    make("h3", {}, `${say("findings")} (${findings.length})`),
    findings.length ? make("ul", { id: "findings" }, ...findings) : make("p", { class: "soft" }, say("no_findings")),
    make("h3", {}, `${say("annotations")} (${picture.labels.length})`),
    picture.labels.length ? make("ul", { id: "objects" }, ...picture.labels.map(objectRow))
      : make("p", { class: "soft" }, say("no_annotations")),
    make("p", { class: "soft" }, say("keys"))].filter(Boolean);
}

function findingRow(finding) {
  const { title, advice } = facts.rules[finding.rule];
  const said = [make("div", { class: "title" }, make("span", { class: `badge level-${finding.level}` },
    say(finding.level)), title),
  make("div", {}, finding.where ? `${finding.where}: ${finding.what}` : finding.what),
  advice ? make("div", { class: "soft" }, advice) : null];
  if (finding.annotation === null) return make("li", { class: "finding" }, ...said);
  const button = make("button", { type: "button" }, ...said);
  button.addEventListener("click", () => toLabel(finding.annotation));
  return make("li", { class: "finding" }, button);
}

function objectRow(label) {
  const all = facts.keypoints.length;
  const lacking = facts.keypoints.filter((_, number) => !pointOf(label, number)).map((keypoint) => keypoint.name);
  const button = make("button", { type: "button" }, make("strong", {}, `${label.class} #${label.id}`),
    label.crowd ? ` (${say("crowd")})` : null, label.box ? null : ` · ${say("no_box")}`,
    all ? make("div", { class: "soft" }, say("labelled", { n: all - lacking.length, all })) : null,
    lacking.length && lacking.length < all
      ? make("div", { class: "soft" }, say("not_labelled", { names: lacking.join(", ") })) : null);
  button.addEventListener("click", () => toLabel(label.id));
  const rows = facts.keypoints.map(({ name }, number) => {
    const point = pointOf(label, number);
    return make("tr", {}, make("td", {}, number + 1), make("td", {}, name),
      make("td", {}, say(point ? (point.v === 1 ? "v1" : "v2") : "v0")),
      make("td", { class: "right" }, point ? point.x : ""), make("td", { class: "right" }, point ? point.y : ""));
  });
  const head = make("tr", {}, ...["number", "name", "visibility"].map((key) => make("th", {}, say(key))),
    make("th", { class: "right" }, "x"), make("th", { class: "right" }, "y"));
  return make("li", { class: "object", "data-annotation": label.id }, button, all && label.points.length
    ? make("details", {}, make("summary", {}, say("table")), make("table", {}, head, ...rows)) : null);
}

function step(by) {
  const next = shown[shown.indexOf(view.picture) + by];
  if (next) openLarge(next);
}

function tell(event) {
  const group = event.target.closest?.(".point");
  const tip = byId("tip");
  tip.hidden = !group;
  if (!group) return;
  const number = Number(group.dataset.number);
  const label = view.picture.labels.find((one) => String(one.id) === group.dataset.annotation);
  const point = pointOf(label, number);
  tip.textContent = `${number + 1} ${facts.keypoints[number].name}\n${say(point.v === 1 ? "v1" : "v2")}, `
    + `x ${point.x}, y ${point.y}\n${label.class} #${label.id}`;
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
}

function buildLarge() {
  const actions = { previous: () => step(-1), next: () => step(1), close: () => byId("large").close(),
    whole: () => look([0, 0, view.picture.width, view.picture.height]) };
  const buttons = ["previous", "next", "whole", "close"].map((key) => {
    const button = make("button", { type: "button", class: "plain", id: `large-${key}` }, say(key));
    button.addEventListener("click", actions[key]);
    return button;
  });
  document.querySelector("#large .buttons").append(...buttons);
  document.querySelector("#large .toggles").append(...buildToggles());
  byId("large").addEventListener("close", () => {
    const number = view && view.picture.number;
    byId("tip").hidden = true;
    state.open = "";
    keep();
    if (number !== null) cards[number].querySelector(".open").focus();
  });
  const stage = byId("stage");
  stage.addEventListener("pointerover", tell);
  stage.addEventListener("pointerout", () => { byId("tip").hidden = true; });
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, pictureXY(event));
  }, { passive: false });
  let held = null;
  stage.addEventListener("pointerdown", (event) => { held = pictureXY(event); });
  addEventListener("pointerup", () => { held = null; });
  stage.addEventListener("pointermove", (event) => {
    if (!held || !event.buttons) return;
    const [x, y] = pictureXY(event);
    const [left, top, width, height] = view.box;
    view.box = [left + held[0] - x, top + held[1] - y, width, height];
    view.svg.setAttribute("viewBox", view.box.join(" "));
  });
  new ResizeObserver(() => { if (view && byId("large").open) look(view.box); }).observe(stage);
}

function onKey(event) {
  if (event.target.matches?.("input:not([type=checkbox]), select") || event.ctrlKey || event.altKey || event.metaKey) return;
  const large = byId("large").open;
  const keys = { ArrowLeft: () => (large ? step(-1) : moveFocus(-1)), ArrowRight: () => (large ? step(1) : moveFocus(1)),
    "+": () => large && zoom(0.8), "-": () => large && zoom(1.25),
    0: () => large && look([0, 0, view.picture.width, view.picture.height]) };
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
}

// ---- the start

function start() {
  document.querySelector("h1").textContent = facts.title;
  byId("left-out").textContent = facts.total > facts.pictures.length
    ? say("left_out", { all: facts.pictures.length, total: facts.total }) : "";
  byId("none").textContent = say("none");
  if (facts.elsewhere.length) {
    byId("elsewhere").hidden = false;
    byId("elsewhere").append(make("details", { open: facts.elsewhere.length <= 5 ? "" : null },
      make("summary", {}, say("elsewhere", { n: facts.elsewhere.length })),
      make("ul", {}, ...facts.elsewhere.map(({ level, where, what }) =>
        make("li", { class: `level-${level}` }, where ? `${where}: ${what}` : what)))));
  }
  buildControls();
  buildLarge();
  cards = facts.pictures.map(buildCard);
  byId("cards").append(...cards);
  cards.forEach((card) => nearby.observe(card));
  addEventListener("keydown", onKey);
  addEventListener("hashchange", restore);
  restore();
}

start();
