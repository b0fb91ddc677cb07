// The page of samples: shows what its controls select. `sample_page.py` writes the data.

const data = JSON.parse(document.getElementById("data").textContent);
const get = (id) => document.getElementById(id);

// Indices of the selected class, truncation, seed and interpolation frame.
const shown = {
  label: 0,
  truncation: data.truncations.length - 1,
  seed: 0,
  frame: 0,
};

const SPACES = {
  pixels: { title: "By pixels", unit: " levels" },
  features: { title: "By features", unit: "" },
};

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Three significant digits.
function rounded(number) {
  return number === 0 ? "0" : String(Number(number.toPrecision(3)));
}

function percent(share) {
  return `${Math.round(100 * share)}%`;
}

// Samples and frames are ordered by class, then truncation.
function chosenIn(list) {
  const groups = Math.max(data.classes.length, 1) * data.truncations.length;
  const each = list.length / groups;
  return list.slice((shown.label * data.truncations.length + shown.truncation) * each).slice(0, each);
}

function describe(seed) {
  const ofClass = data.classes.length ? `class ${data.classes[shown.label]}, ` : "";
  return `${ofClass}seed ${seed}, truncation ${data.truncations[shown.truncation]}`;
}

// Radio buttons: the browser supplies keys, touch and names for screen readers.
function addChoices(group, name, contents) {
  contents.forEach((content, i) => {
    const input = element("input", { type: "radio", name, value: i, checked: i === shown[name] });
    input.addEventListener("change", () => choose(name, i));
    get(group).append(element("label", {}, input, ...content));
  });
}

function showSamples() {
  chosenIn(data.samples).forEach((sample, i) => {
    const image = get("seeds").querySelectorAll("img")[i];
    image.src = sample.image;
    image.alt = `Sample, ${describe(data.seeds[i])}`;
  });
}

function showNeighbors() {
  const sample = chosenIn(data.samples)[shown.seed];
  const [image, caption] = get("chosen").children;
  image.src = sample.image;
  image.alt = "The chosen sample";
  caption.textContent = `Sample: ${describe(data.seeds[shown.seed])}`;
  const spaces = Object.keys(sample.near);
  get("spaces").replaceChildren(...spaces.map((space) => neighborsBy(space, sample)));
  get("spoken").textContent = spaces.map((space) => sentence(space, sample)).join(" ");
}

function sentence(space, sample) {
  const { title, unit } = SPACES[space];
  const nearest = sample.near[space][0][space];
  return (
    `${title}: ${rounded(nearest)}${unit} to the nearest real image. ` +
    `${percent(sample.farther[space])} of real images are farther from their nearest neighbor.`
  );
}

function neighborsBy(space, sample) {
  return element(
    "section",
    { ariaLabel: SPACES[space].title },
    element("h3", { textContent: SPACES[space].title }),
    element("ol", {}, ...sample.near[space].map((neighbor) => item(space, neighbor))),
    scale(space, sample),
    element("p", { textContent: sentence(space, sample) }),
  );
}

function item(space, neighbor) {
  const real = data.real[neighbor.real];
  const image = element("img", {
    src: real.image,
    alt: `Real image ${real.index}`,
    className: neighbor.mirrored ? "mirrored" : "",
  });
  const distances = Object.keys(SPACES)
    .filter((name) => neighbor[name] !== null)
    .map((name) => {
      const text = `${name === "features" ? "features " : ""}${rounded(neighbor[name])}${SPACES[name].unit}`;
      return element(name === space ? "b" : "span", { textContent: text });
    });
  const facts = [real.name, `image ${real.index}`, neighbor.mirrored ? "mirrored" : null];
  const fact = element("span", { textContent: facts.filter((each) => each !== null).join(", ") });
  distances.sort((a, b) => (b.tagName === "B") - (a.tagName === "B"));
  return element("li", {}, image, ...distances, element("br"), fact);
}

// Where the sample lies among the distances between real images and their nearest neighbors.
function scale(space, sample) {
  const [low, quarter, median, threeQuarters, high] = data.reference[space];
  const nearest = sample.near[space][0][space];
  const end = 1.1 * Math.max(high, nearest) || 1;
  const bar = element("div", { className: "scale", ariaHidden: "true" });
  const add = (className, from, to) => {
    const part = element("span", { className });
    part.style.left = `${(100 * from) / end}%`;
    if (to !== undefined) part.style.width = `${(100 * (to - from)) / end}%`;
    bar.append(part);
  };
  add("most", low, high);
  add("half", quarter, threeQuarters);
  add("median", median);
  add("this", nearest);
  return bar;
}

function showFrame() {
  const frames = chosenIn(data.frames);
  const place = `${shown.frame} of ${frames.length - 1}`;
  const [start, between, end] = get("way").querySelectorAll("img");
  start.src = frames[0];
  between.src = frames[shown.frame];
  between.alt = `Frame ${place}, truncation ${data.truncations[shown.truncation]}`;
  end.src = frames.at(-1);
  get("frame-value").textContent = place;
  get("frame").ariaValueText = place;
}

function choose(name, value) {
  shown[name] = value;
  const truncation = String(data.truncations[shown.truncation]);
  get("truncation-value").textContent = truncation;
  get("truncation").ariaValueText = truncation;
  if (name !== "frame" && name !== "seed") showSamples();
  if (name !== "frame") showNeighbors();
  if (name !== "seed") showFrame();
}

addChoices("classes", "label", data.classes.map((name) => [element("span", { textContent: name })]));
get("classes").hidden = data.classes.length === 0;
addChoices(
  "seeds",
  "seed",
  data.seeds.map((seed) => [element("img"), element("span", { textContent: `seed ${seed}` })]),
);
for (const name of ["truncation", "frame"]) {
  // On returning to the page, a browser restores the positions of its sliders.
  get(name).value = shown[name];
  get(name).addEventListener("input", (event) => choose(name, event.target.valueAsNumber));
}
get("controls").addEventListener("submit", (event) => event.preventDefault());
choose("truncation", shown.truncation);
