// Colours of codes. The classes are those of every picture; what is nothing and what is missing suit light and dark.

const CODE_MISSING = 0;
const CODE_NOTHING = 1;
const GROUND = {
  light: { nothing: "#ffffff", missing: "#c9c9c9", ink: "#262626", faint: "#6e6e6e", halo: "#ffffff", panel: "#f6f8fa" },
  dark: { nothing: "#0d1014", missing: "#454c55", ink: "#f0f2f4", faint: "#a7b0ba", halo: "#15181c", panel: "#1c2126" },
};

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const valueOf = (scale, code) => (code - 1) * scale.coding.step;

function colourOf(scale, palette, ground, code) {
  if (code === CODE_MISSING) return ground.missing;
  const value = valueOf(scale, code);
  let at = -1;
  while (at + 1 < scale.bounds.length && value >= scale.bounds[at + 1] - 1e-9) at++;
  return at < 0 ? ground.nothing : scale.colours[palette][at];
}

/** RGBA of every code, 4 bytes each. */
function colourTable(scale, palette, ground) {
  const table = new Uint8ClampedArray(4 * 256 ** scale.coding.bytes);
  for (let code = 0; code < table.length / 4; code++) {
    table.set([...rgb(colourOf(scale, palette, ground, code)), 255], 4 * code);
  }
  return table;
}

function valueText(scale, code) {
  if (code === CODE_MISSING) return "not observed";
  const value = valueOf(scale, code);
  if (code === CODE_NOTHING || value < scale.bounds[0] - 1e-9) return scale.nothing;
  const most = code === 256 ** scale.coding.bytes - 1 ? "over " : "";
  return `${most}${(value * scale.factor).toFixed(scale.digits)} ${scale.unit}`;
}

function drawLegend(scale, palette, ground, certain) {
  const classes = document.createElement("div");
  classes.className = "classes";
  scale.bounds.forEach((bound, k) => {
    const cell = document.createElement("span");
    const swatch = document.createElement("i");
    swatch.style.background = scale.colours[palette][k];
    cell.append(swatch, String(+(bound * scale.factor).toFixed(2)));
    classes.append(cell);
  });
  const key = (colour, text) => {
    const item = document.createElement("span");
    const swatch = document.createElement("i");
    item.className = "key";
    swatch.style.background = colour;
    item.append(swatch, text);
    return item;
  };
  const name = document.createElement("span");
  name.textContent = scale.label;
  element("legend").replaceChildren(name, classes);
  const nothing = scale.nothing + (certain ? "" : ", or not observed: the files do not tell");
  element("key").replaceChildren(key(ground.nothing, nothing), key(ground.missing, "not observed"));
}
