// What the page holds: codes of fields, see nowcast/view/codes.py.

async function inflate(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** All the fields of a view, unpacked. */
class Data {
  static async of(view) {
    const data = new Data();
    data.view = view;
    data.blocks = await Promise.all(view.blocks.map(inflate));
    [data.nz, data.ny, data.nx] = view.grid.shape;
    return data;
  }

  /** Codes [Z, Y, X] of a source at a frame, null where it has none. */
  volume(source, frame) {
    const block = this.view.sources[source]?.volumes[frame] ?? -1;
    return block < 0 ? null : new Uint8Array(this.blocks[block]);
  }

  /** Codes [Y, X] of what a layer shows of a source at a frame, null where there is none. */
  plane(layer, source, frame, level) {
    if (layer.kind === "plane") {
      const block = this.view.sources[source]?.planes[layer.key]?.[frame] ?? -1;
      if (block < 0) return null;
      const wide = this.view.scales[layer.scale].coding.bytes === 2;
      return wide ? new Uint16Array(this.blocks[block]) : new Uint8Array(this.blocks[block]);
    }
    const volume = this.volume(source, frame);
    if (volume === null) return null;
    const size = this.ny * this.nx;
    if (layer.kind === "level") return volume.subarray(level * size, (level + 1) * size);
    const top = new Uint8Array(size);
    for (let z = 0; z < this.nz; z++) {
      const start = z * size;
      for (let i = 0; i < size; i++) if (volume[start + i] > top[i]) top[i] = volume[start + i];
    }
    return top;
  }

  /** The source that is shown: what is wanted where it has the frame, else the observed. */
  source(layer, frame, observed) {
    const has = (name) => (this.view.sources[name]?.volumes[frame] ?? -1) >= 0;
    if (observed && has("observed")) return "observed";
    return has(layer.volume) ? layer.volume : has("observed") ? "observed" : layer.volume;
  }

  hasBoth(frame) {
    const { observed, forecast } = this.view.sources;
    return observed !== undefined && forecast !== undefined && observed.volumes[frame] >= 0 && forecast.volumes[frame] >= 0;
  }

  /** Longitude and latitude of a place in km. */
  place(x, y) {
    const [west, east, south, north] = this.view.grid.extent;
    const { count, lon, lat } = this.view.grid.places;
    const at = (value, low, high) => Math.min(Math.max(((value - low) / (high - low)) * (count - 1), 0), count - 1);
    const [fx, fy] = [at(x, west, east), at(y, south, north)];
    const [i, j] = [Math.min(Math.floor(fx), count - 2), Math.min(Math.floor(fy), count - 2)];
    const mix = (a, b, share) => a + (b - a) * share;
    const of = (values) =>
      mix(mix(values[j * count + i], values[j * count + i + 1], fx - i),
        mix(values[(j + 1) * count + i], values[(j + 1) * count + i + 1], fx - i), fy - j);
    return [((of(lon) + 540) % 360) - 180, of(lat)];
  }

  /** The column and row of a place in km, null outside of the grid. */
  cell(x, y) {
    const [west, east, south, north] = this.view.grid.extent;
    const [i, j] = [Math.floor(((x - west) / (east - west)) * this.nx), Math.floor(((y - south) / (north - south)) * this.ny)];
    return i >= 0 && i < this.nx && j >= 0 && j < this.ny ? [i, j] : null;
  }
}

const clock = (time) => new Date(time).toISOString().slice(11, 16);
const stamp = (time) => new Date(time).toISOString().slice(0, 16).replace("T", " ") + " UTC";
const lead = (minutes) => `${minutes >= 0 ? "+" : "−"}${Math.round(Math.abs(minutes))} min`;
const degrees = (value, positive, negative) => `${Math.abs(value).toFixed(3)}°${value >= 0 ? positive : negative}`;
const element = (id) => document.getElementById(id);
