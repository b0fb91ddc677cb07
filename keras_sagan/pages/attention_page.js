// The page of attention maps. Its JSON elements contain everything it shows. `exhibit` lists views,
// steps and images. `maps-VIEW-STEP` has the maps of a view at a step, one text for each image, which
// is decoded when it is first needed. `pack_maps` in attention_page.py writes these texts.

const exhibit = JSON.parse(document.getElementById("exhibit").textContent);
const at = (id) => document.getElementById(id);

// The selection. Points are fractions of the image, so that they stay in place when the layer changes.
// `cursor` is where shares are read while the query is held.
const state = {
  view: exhibit.views[0],
  step: exhibit.steps.length - 1,
  image: 0,
  query: { x: 0.5, y: 0.5 },
  cursor: null,
  held: false,
};

// --- Maps ---------------------------------------------------------------------------------------

const texts = new Map();
const decoded = new Map();

// A promise of all maps of one image: `peaks`, one for each query, and `levels`, one for each query and
// place. A share of attention is peak * level / 255.
function mapsOf(view, step, image) {
  const name = `maps-${view.id}-${step}`;
  const key = `${name}-${image}`;
  if (!texts.has(name)) texts.set(name, JSON.parse(at(name).textContent));
  if (!decoded.has(key)) decoded.set(key, decode(view, texts.get(name)[image]));
  return decoded.get(key);
}

async function decode(view, text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const queries = storedCount(view.height, view) * storedCount(view.width, view);
  return { peaks: new Float32Array(buffer, 0, queries), levels: new Uint8Array(buffer, 4 * queries) };
}

// The number of positions, of `count`, whose maps are stored.
function storedCount(count, view) {
  return Math.ceil((count - (view.stride >> 1)) / view.stride);
}

// Row and column of a point in a grid.
function cellAt(point, rows, columns) {
  const index = (fraction, count) => Math.min(Math.max(Math.floor(fraction * count), 0), count - 1);
  return { row: index(point.y, rows), column: index(point.x, columns) };
}

// The query as stored in the page (row, column), and as a position of the layer (y, x).
function queryOf(view) {
  const found = cellAt(state.query, storedCount(view.height, view), storedCount(view.width, view));
  const position = (index) => index * view.stride + (view.stride >> 1);
  return { ...found, y: position(found.row), x: position(found.column) };
}

// The map of one query: its levels, its peak, and the share shown in the strongest color
// (`full_color` in visual/maps.py).
function mapOf(maps, view) {
  const { row, column } = queryOf(view);
  const index = row * storedCount(view.width, view) + column;
  const places = view.rows * view.columns;
  const peak = maps.peaks[index];
  const levels = maps.levels.subarray(index * places, (index + 1) * places);
  return { levels, peak, full: Math.max(peak, 4 / places) };
}

// The rule of `most_attended` in visual/maps.py: places with at least half the peak and twice a uniform
// share, none of which touches an earlier one.
function mostAttended({ levels, peak }, view, count = 3) {
  const least = Math.max(255 / 2, (2 / levels.length / peak) * 255);
  const order = [...levels.keys()].filter((i) => levels[i] >= least);
  order.sort((a, b) => levels[b] - levels[a] || a - b);
  const found = [];
  for (const i of order) {
    const place = { row: Math.floor(i / view.columns), column: i % view.columns };
    const touches = (other) =>
      Math.max(Math.abs(other.row - place.row), Math.abs(other.column - place.column)) < 2;
    if (!found.some(touches)) found.push({ ...place, share: (levels[i] * peak) / 255 });
    if (found.length === count) break;
  }
  return found;
}

// The number of places over which uniform attention would have the same entropy.
function spreadOf(levels) {
  const sum = levels.reduce((total, level) => total + level, 0);
  let entropy = 0;
  for (const level of levels) if (level) entropy -= (level / sum) * Math.log(level / sum);
  return Math.exp(entropy);
}

// --- Drawing ------------------------------------------------------------------------------------

// Colors of 256 levels, from violet to yellow. A level is also its opacity, so that 0 is invisible.
const STOPS = [[94, 1, 166], [204, 71, 120], [248, 149, 64], [250, 240, 60]];
const COLORS = Uint8ClampedArray.from({ length: 1024 }, (_, i) => {
  const level = i >> 2;
  if (i % 4 === 3) return level;
  const place = (level / 255) * (STOPS.length - 1);
  const below = Math.min(Math.floor(place), STOPS.length - 2);
  const [from, to] = [STOPS[below][i % 4], STOPS[below + 1][i % 4]];
  return from + (to - from) * (place - below);
});

function drawLevels(canvas, levels, columns) {
  canvas.width = columns;
  canvas.height = levels.length / columns;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  levels.forEach((level, i) => image.data.set(COLORS.subarray(4 * level, 4 * level + 4), 4 * i));
  context.putImageData(image, 0, 0);
}

function drawMap(canvas, { levels, peak, full }, view) {
  drawLevels(canvas, levels.map((level) => Math.round((level * peak) / full)), view.columns);
}

function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// The query, arrows to the most attended places, and the place being read, in pixels of the stage.
function drawMarks(view, places) {
  const { clientWidth: width, clientHeight: height } = at("stage");
  const { x, y } = queryOf(view);
  const from = { x: ((x + 0.5) / view.width) * width, y: ((y + 0.5) / view.height) * height };
  const marks = [];
  for (const { row, column } of places) {
    const to = {
      x: ((column + 0.5) / view.columns) * width,
      y: ((row + 0.5) / view.rows) * height,
    };
    for (const part of ["under", "over"]) marks.push(svg("path", { class: part, d: arrow(from, to) }));
  }
  if (state.held && state.cursor) {
    const { row, column } = cellAt(state.cursor, view.rows, view.columns);
    const [w, h] = [width / view.columns, height / view.rows];
    const box = { x: column * w, y: row * h, width: w, height: h };
    for (const part of ["under", "over"]) marks.push(svg("rect", { class: part, ...box }));
  }
  marks.push(svg("circle", { class: "query", cx: from.x, cy: from.y, r: 6 }));
  at("marks").setAttribute("viewBox", `0 0 ${width} ${height}`);
  at("marks").replaceChildren(...marks);
}

function arrow(from, to) {
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  const length = Math.hypot(to.y - from.y, to.x - from.x);
  if (length < 1) return "";
  const tip = (turn) => `${to.x - 11 * Math.cos(angle + turn)},${to.y - 11 * Math.sin(angle + turn)}`;
  const start = Math.min(6, length);
  const [x, y] = [from.x + start * Math.cos(angle), from.y + start * Math.sin(angle)];
  return `M${x},${y} L${to.x},${to.y} M${tip(0.45)} L${to.x},${to.y} L${tip(-0.45)}`;
}

// --- Text ---------------------------------------------------------------------------------------

const percent = (share) => `${(100 * share).toFixed(2)}%`;
const times = (share, places) => `${(share * places).toFixed(1)} × uniform`;
const placeText = (row, column) => `row ${row + 1}, column ${column + 1}`;

function describe(view, map, places) {
  const count = map.levels.length;
  const { x, y } = queryOf(view);
  at("from").textContent = `${placeText(y, x)} of ${view.height} × ${view.width}`;
  const [most] = places;
  at("most").textContent = most
    ? `${placeText(most.row, most.column)} of ${view.rows} × ${view.columns}: ` +
      `${percent(most.share)}, ${times(most.share, count)}`
    : `no place above twice the uniform share; at most ${percent(map.peak)}`;
  const reads = state.held && state.cursor;
  const own = { x: (x + 0.5) / view.width, y: (y + 0.5) / view.height };
  const { row, column } = cellAt(reads ? state.cursor : own, view.rows, view.columns);
  const share = (map.levels[row * view.columns + column] * map.peak) / 255;
  at("here-name").textContent = reads ? "under the cursor" : "at the same place";
  at("here").textContent = `${placeText(row, column)}: ${percent(share)}, ${times(share, count)}`;
  at("spread").textContent = `about ${spreadOf(map.levels).toFixed(1)} of ${count} places`;
  at("gamma").textContent = `gamma ${view.gammas[state.step].toPrecision(3)}`;
  at("scale-full").textContent = `${percent(map.full)} of the attention`;
  at("scale-even").style.left = `${100 / count / map.full}%`;
}

// --- The page follows the state -----------------------------------------------------------------

const imagesOf = (view) => {
  const steps = exhibit.images[view.group];
  return steps[Math.min(state.step, steps.length - 1)];
};
let latest = 0;
let group = null;

// Draws the stage, then the other images. `data-drawn` tells how far it has got. A later call cancels
// an earlier one.
async function show() {
  const own = ++latest;
  const { view, step } = state;
  document.body.dataset.drawn = "nothing";
  if (group !== view.group) listImages(view);
  at("view").value = view.id;
  at("step").value = step;
  at("step-text").value = exhibit.steps[step].toLocaleString("en");
  at("step").ariaValueText = at("step-text").value;
  at("hold").setAttribute("aria-pressed", state.held);
  document.querySelectorAll(".now").forEach((line, i) => line.classList.toggle("on", i === step));
  const map = mapOf(await mapsOf(view, step, state.image), view);
  if (own !== latest) return;
  const sources = imagesOf(view);
  at("picture").src = sources[state.image];
  at("picture").alt = exhibit.captions[view.group][state.image];
  const places = mostAttended(map, view);
  drawMap(at("map"), map, view);
  drawMarks(view, places);
  describe(view, map, places);
  document.body.dataset.drawn = "stage";
  for (const [i, thumb] of [...at("images").children].entries()) {
    const maps = await mapsOf(view, step, i);
    if (own !== latest) return;
    thumb.querySelector("img").src = sources[i];
    thumb.querySelector("input").checked = i === state.image;
    drawMap(thumb.querySelector("canvas"), mapOf(maps, view), view);
  }
  document.body.dataset.drawn = "all";
}

function listImages(view) {
  group = view.group;
  const captions = exhibit.captions[group];
  state.image = Math.min(state.image, captions.length - 1);
  const thumbs = captions.map((caption, i) => {
    const thumb = at("thumb").content.cloneNode(true).firstElementChild;
    thumb.querySelector(".caption").textContent = caption;
    const frame = thumb.querySelector(".frame");
    const input = thumb.querySelector("input");
    input.addEventListener("change", () => change({ image: i }));
    frame.addEventListener("click", (event) => {
      change({ image: i, ...(state.held ? {} : { query: pointOf(event, frame) }) });
    });
    frame.addEventListener("pointermove", (event) => {
      const follows = event.pointerType === "mouse" && state.image === i && !state.held;
      if (follows) change({ query: pointOf(event, frame) });
    });
    return thumb;
  });
  at("images").replaceChildren(...thumbs);
}

function change(parts) {
  Object.assign(state, parts);
  show();
}

// --- Pointer, touch and keys --------------------------------------------------------------------

function pointOf(event, element) {
  const box = element.getBoundingClientRect();
  const fraction = (value, start, length) => Math.min(Math.max((value - start) / length, 0), 1);
  return {
    x: fraction(event.clientX, box.left, box.width),
    y: fraction(event.clientY, box.top, box.height),
  };
}

const moved = (point) => change(state.held ? { cursor: point } : { query: point });
const hold = (held) => change({ held, cursor: null });
const stage = at("stage");
let pointer = "mouse";

stage.addEventListener("pointerdown", (event) => (pointer = event.pointerType));
stage.addEventListener("pointermove", (event) => {
  if (event.pointerType === "mouse" || state.held) moved(pointOf(event, stage));
});
stage.addEventListener("click", (event) => {
  const point = pointOf(event, stage);
  if (pointer !== "mouse") moved(point);
  else change({ held: !state.held, query: point, cursor: null });
});

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

stage.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in ARROWS) moved(neighbor(...ARROWS[event.key]));
  else if (event.key === " " || event.key === "Enter") hold(!state.held);
  else if (event.key === "Escape") hold(false);
  else return;
  event.preventDefault();
});

// The center of the neighboring position or, while the query is held, of the neighboring place.
function neighbor(down, right) {
  const { view } = state;
  const rows = state.held ? view.rows : storedCount(view.height, view);
  const columns = state.held ? view.columns : storedCount(view.width, view);
  const { row, column } = cellAt((state.held && state.cursor) || state.query, rows, columns);
  const inside = (index, count) => Math.min(Math.max(index, 0), count - 1);
  return {
    x: (inside(column + right, columns) + 0.5) / columns,
    y: (inside(row + down, rows) + 0.5) / rows,
  };
}

// --- Controls -----------------------------------------------------------------------------------

at("view").replaceChildren(...exhibit.views.map(({ name, id }) => new Option(name, id)));
at("view").addEventListener("change", () => change({ view: exhibit.views[at("view").value] }));
at("look").addEventListener("change", () => (document.body.dataset.look = at("look").value));
at("hold").addEventListener("click", () => hold(!state.held));
at("training").hidden = exhibit.steps.length === 1;
at("step").max = exhibit.steps.length - 1;
at("step").addEventListener("input", () => change({ step: Number(at("step").value) }));

let timer = null;

at("play").addEventListener("click", () => {
  clearInterval(timer);
  timer = timer ? null : setInterval(advance, 900);
  at("play").setAttribute("aria-pressed", timer !== null);
});

function advance() {
  change({ step: (state.step + 1) % exhibit.steps.length });
}

// An old browser may be unable to decompress the maps.
window.addEventListener("unhandledrejection", ({ reason }) => {
  at("from").textContent = `Not shown: ${reason.message}`;
});
drawLevels(at("scale"), Uint8Array.from({ length: 256 }, (_, level) => level), 256);
new ResizeObserver(show).observe(stage);
