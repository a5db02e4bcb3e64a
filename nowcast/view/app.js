// What is chosen, and everything drawn anew when it changes.

const choice = { frame: 0, layer: "", level: 0, observed: false, palette: "standard", theme: "automatic", point: null };
const dark = matchMedia("(prefers-color-scheme: dark)");
let data = null;
let plan = null;
let storm = null;
let playing = null;
let tables = {};

const themeName = () => (choice.theme === "automatic" ? (dark.matches ? "dark" : "light") : choice.theme);
const layerNow = () => data.view.layers.find(({ key }) => key === choice.layer);

function tableOf(scaleName) {
  const key = `${scaleName} ${choice.palette} ${themeName()}`;
  tables[key] ??= colourTable(data.view.scales[scaleName], choice.palette, GROUND[themeName()]);
  return tables[key];
}

function draw() {
  if (data === null) return;
  const layer = layerNow();
  const ground = GROUND[themeName()];
  const source = data.source(layer, choice.frame, choice.observed);
  const codes = data.plane(layer, source, choice.frame, choice.level);
  const text = codes === null ? "not defined at this time" : "";
  plan.show(codes, tableOf(layer.scale), ground, choice.point, text);
  const level = layer.kind === "level" ? choice.level : null;
  storm.show(data.volume(source, choice.frame), data, tableOf("dbz"), data.view.scales.dbz, ground, level);
  drawLegend(data.view.scales[layer.scale], choice.palette, ground, data.view.certain);
  tellFrame(layer, source);
  tellStorm();
  drawColumn(layer, source, ground);
  document.body.dataset.frame = choice.frame;
  document.body.dataset.source = source;
}

function tellFrame(layer, source) {
  const { times, leads, sources, method, init, grid } = data.view;
  const minutes = leads[choice.frame];
  const seen = source === "observed";
  element("strip").classList.toggle("forecast", !seen);
  element("mark").textContent = seen ? "OBSERVED" : `FORECAST ${lead(minutes)}`;
  const from = init === null ? "" : !seen ? ` · init ${clock(init)}` : minutes === 0 ? " · initial time" : ` · ${lead(minutes)} from init`;
  element("when").textContent = `valid ${stamp(times[choice.frame])}${from}`;
  element("facts").textContent = [method && `method ${method}`, seen || layer.scale === "share" ? "" : sources[source].name, `origin ${grid.origin}`, `heights ${grid.datum}`].filter(Boolean).join(" · ");
  element("frame-slider").value = choice.frame;
  element("frame-slider").setAttribute("aria-valuetext", `${element("mark").textContent}, ${clock(times[choice.frame])} UTC`);
  element("level-text").textContent = `${+grid.z[choice.level].toFixed(2)} km`;
  element("level-label").hidden = layer.kind !== "level";
  element("seen-label").hidden = !data.view.times.some((_, frame) => data.hasBoth(frame));
  element("seen").checked = choice.observed;
}

function tellStorm() {
  element("least-text").textContent = `${storm.least} dBZ`;
  if (storm.gl === null) element("storm-text").textContent = "This browser offers no WebGL 2: there is no 3D view.";
  else if (storm.empty) element("storm-text").textContent = `No echo of ${storm.least} dBZ or more at this time.`;
  else if (storm.style === "cloud") element("storm-text").textContent = `Denser where echo is stronger, from ${storm.least} dBZ up.`;
  else element("storm-text").textContent = `Surfaces at ${storm.shells().join(", ")} dBZ.`;
}

function tellPoint(point) {
  const cell = point && data.cell(...point);
  if (!cell) {
    element("readout").textContent = "";
    return;
  }
  const layer = layerNow();
  const codes = data.plane(layer, data.source(layer, choice.frame, choice.observed), choice.frame, choice.level);
  const value = codes === null ? "–" : valueText(data.view.scales[layer.scale], codes[cell[1] * data.nx + cell[0]]);
  element("readout").textContent = `${placeText(point)} · ${value}`;
}

function placeText([x, y]) {
  const [lon, lat] = data.place(x, y);
  const km = (value, positive, negative) => `${Math.abs(value).toFixed(0)} km ${value >= 0 ? positive : negative}`;
  return `${degrees(lat, "N", "S")} ${degrees(lon, "E", "W")} · ${km(x, "E", "W")}, ${km(y, "N", "S")}`;
}

function drawColumn(layer, source, ground) {
  const cell = choice.point && data.cell(...choice.point);
  element("column").hidden = !cell;
  if (!cell) return;
  const scale = data.view.scales.dbz;
  const now = columnCodes(data, source, choice.frame, cell);
  const most = now ? Math.max(...now) : 0;
  element("column-title").textContent = `Vertical profile at ${placeText(choice.point)}`;
  element("column-hint").textContent = `${element("mark").textContent}: ${most > CODE_NOTHING ? "at most " : ""}${valueText(scale, most)}`;
  const level = layer.kind === "level" ? choice.level : null;
  drawProfile(element("profile"), data, now, level, scale, choice.palette, ground);
  const columns = data.view.times.map((_, frame) => columnCodes(data, data.source(layer, frame, choice.observed), frame, cell));
  drawHistory(element("history"), data, columns, choice.frame, scale, choice.palette, ground);
}

function set(changes) {
  Object.assign(choice, changes);
  choice.frame = Math.min(Math.max(choice.frame, 0), data.view.times.length - 1);
  choice.level = Math.min(Math.max(choice.level, 0), data.nz - 1);
  draw();
}

function setTheme(theme) {
  choice.theme = theme;
  document.documentElement.dataset.theme = themeName();
  element("theme").textContent = `Theme: ${theme}`;
  draw();
}

function play(wanted = playing === null) {
  clearTimeout(playing ?? undefined);
  playing = null;
  element("play").textContent = wanted ? "■ Stop" : "▶ Play";
  if (!wanted) return;
  const next = () => {
    const count = data.view.times.length;
    set({ frame: (choice.frame + 1) % count });
    const pause = Number(element("speed").value);
    playing = setTimeout(next, choice.frame === count - 1 ? 3 * pause : pause);
  };
  playing = setTimeout(next, 0);
}

function drawTicks() {
  const { times, sources, init } = data.view;
  const count = times.length;
  const ticks = element("ticks");
  ticks.replaceChildren();
  const label = (frame, text) => {
    const item = document.createElement("span");
    item.style.left = `${(100 * frame) / Math.max(count - 1, 1)}%`;
    item.textContent = text;
    ticks.append(item);
  };
  times.forEach((_, frame) => {
    const tick = document.createElement("i");
    tick.style.left = `${(100 * frame) / Math.max(count - 1, 1)}%`;
    tick.classList.toggle("forecast", (sources.forecast?.volumes[frame] ?? -1) >= 0);
    ticks.append(tick);
  });
  label(0, clock(times[0]));
  const start = init === null ? -1 : times.findLastIndex((time) => time <= init);
  if (start > count * 0.15 && start < count * 0.85) label(start, `init ${clock(times[start])}`);
  if (count > 1) label(count - 1, clock(times[count - 1]));
}

function offerLayers() {
  const groups = new Map();
  for (const layer of data.view.layers) {
    if (!groups.has(layer.group)) groups.set(layer.group, []);
    groups.get(layer.group).push(new Option(layer.name, layer.key));
  }
  element("product").replaceChildren(...[...groups].map(([name, options]) => {
    const group = document.createElement("optgroup");
    group.label = name;
    group.append(...options);
    return group;
  }));
}

/** Show a view; what was chosen stays where the new one has it. */
async function show(view) {
  const next = await Data.of(view);
  const before = data;
  const ahead = before && before.view.leads[choice.frame];
  data = next;
  const { times, leads, init, layers, grid } = view;
  const newest = init === null ? times.length - 1 : Math.max(times.findLastIndex((time) => time <= init), 0);
  const same = ahead === null ? -1 : leads.findIndex((minutes) => minutes !== null && Math.abs(minutes - ahead) < 1);
  choice.frame = before === null || same < 0 ? newest : same;
  if (!layers.some(({ key }) => key === choice.layer)) choice.layer = layers[0].key;
  if (before === null) choice.level = grid.z.reduce((best, z, k) => (Math.abs(z - 3) < Math.abs(grid.z[best] - 3) ? k : best), 0);
  choice.level = Math.min(choice.level, data.nz - 1);
  document.title = element("title").textContent = view.title;
  element("notes").replaceChildren(...view.notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })));
  for (const id of ["main", "time"]) element(id).hidden = false;
  element("wait").hidden = true;
  element("frame-slider").max = times.length - 1;
  element("level").max = data.nz - 1;
  element("level").value = choice.level;
  offerLayers();
  element("product").value = choice.layer;
  drawTicks();
  if (plan === null) {
    plan = new Plan(element("map"), data, (point) => set({ point: data.cell(...point) && point }), (point) => tellPoint(point));
    storm = new Storm(element("storm"), element("frame"));
  } else plan.take(data);
  draw();
  document.body.dataset.ready = "yes";
}

function step(by) {
  play(false);
  set({ frame: choice.frame + by });
}

function level(by) {
  if (layerNow().kind !== "level") choice.layer = element("product").value = data.view.layers.find(({ kind }) => kind === "level").key;
  else choice.level += by;
  set({});
  element("level").value = choice.level;
}

const KEYS = {
  " ": () => play(),
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  Home: () => step(-Infinity),
  End: () => step(Infinity),
  ArrowUp: () => level(1),
  ArrowDown: () => level(-1),
  "+": () => plan.zoom(1.25),
  "=": () => plan.zoom(1.25),
  "-": () => plan.zoom(0.8),
  0: () => plan.zoom(1 / 16),
  o: () => set({ observed: !choice.observed }),
  p: () => {
    const { layers } = data.view;
    const next = layers[(layers.indexOf(layerNow()) + 1) % layers.length].key;
    element("product").value = next;
    set({ layer: next });
  },
};
const STORM_KEYS = {
  ArrowLeft: () => storm.turn(storm.yaw - 0.1, storm.pitch),
  ArrowRight: () => storm.turn(storm.yaw + 0.1, storm.pitch),
  ArrowUp: () => storm.turn(storm.yaw, storm.pitch + 0.08),
  ArrowDown: () => storm.turn(storm.yaw, storm.pitch - 0.08),
  "+": () => storm.come(0.9),
  "=": () => storm.come(0.9),
  "-": () => storm.come(1.1),
};
const THEMES = ["automatic", "light", "dark"];
const nextTheme = () => setTheme(THEMES[(THEMES.indexOf(choice.theme) + 1) % 3]);
const toggleKeys = () => {
  element("keys").hidden = !element("keys").hidden;
  element("help").setAttribute("aria-expanded", String(!element("keys").hidden));
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "t") return nextTheme();
  if (key === "?") return toggleKeys();
  const { target } = event;
  if (data === null || target.tagName === "SELECT") return;
  // A slider has arrows of its own, a button its space bar.
  if (target.type === "range" && (key.startsWith("Arrow") || key === "Home" || key === "End")) return;
  if (key === " " && (target.tagName === "BUTTON" || target.type === "checkbox")) return;
  const action = (target === element("storm") && STORM_KEYS[key]) || KEYS[key];
  if (!action) return;
  event.preventDefault();
  action();
}

function listen() {
  const on = (id, kind, act) => element(id).addEventListener(kind, act);
  on("frame-slider", "input", (event) => {
    play(false);
    set({ frame: Number(event.target.value) });
  });
  on("level", "input", (event) => set({ level: Number(event.target.value) }));
  on("product", "change", (event) => set({ layer: event.target.value }));
  on("seen", "change", (event) => set({ observed: event.target.checked }));
  on("palette", "change", (event) => set({ palette: event.target.value }));
  on("play", "click", () => play());
  on("theme", "click", nextTheme);
  on("help", "click", toggleKeys);
  on("nearer", "click", () => plan.zoom(1.5));
  on("farther", "click", () => plan.zoom(1 / 1.5));
  const shape = () => {
    storm.least = Number(element("least").value);
    storm.style = element("style").value;
    storm.exaggeration = Number(element("exaggeration").value);
    draw();
  };
  for (const id of ["least", "style", "exaggeration"]) on(id, "input", shape);
  element("least").value = 20;
  document.addEventListener("keydown", onKey);
  dark.addEventListener("change", () => setTheme(choice.theme));
  window.addEventListener("resize", () => requestAnimationFrame(draw));
}

async function start() {
  listen();
  setTheme("automatic");
  const view = JSON.parse(element("view").textContent);
  if (view === null) await new Follower(show).run();
  else await show(view);
}

start().catch((error) => {
  element("wait").hidden = false;
  element("wait").textContent = `This page cannot be shown: ${error.message}`;
  throw error;
});
