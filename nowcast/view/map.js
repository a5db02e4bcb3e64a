// The map: the field, coast, graticule, range rings, the site, and the column that was clicked.

class Plan {
  constructor(canvas, data, onPick, onPoint) {
    Object.assign(this, { canvas, data, onPick, onPoint });
    this.picture = document.createElement("canvas");
    this.near = 1;
    this.centre = this.middle();
    this.down = null;
    canvas.onpointerdown = (event) => this.press(event);
    canvas.onpointermove = (event) => this.move(event);
    canvas.onpointerup = (event) => this.lift(event);
    canvas.onpointercancel = () => (this.down = null);
    canvas.onpointerleave = () => this.onPoint(null);
    canvas.onwheel = (event) => {
      if (event.deltaY > 0 && this.near === 1) return;
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.25 : 0.8, this.place(event));
    };
  }

  take(data) {
    const old = this.data.view.grid;
    this.data = data;
    if (JSON.stringify(old.extent) !== JSON.stringify(data.view.grid.extent)) [this.near, this.centre] = [1, this.middle()];
  }

  middle() {
    const [west, east, south, north] = this.data.view.grid.extent;
    return [(west + east) / 2, (south + north) / 2];
  }

  /** Nearer by a factor, with a place in km kept where it is. */
  zoom(factor, keep = this.centre) {
    const near = Math.min(Math.max(this.near * factor, 1), 16);
    this.centre = this.centre.map((c, k) => keep[k] + ((c - keep[k]) * this.near) / near);
    this.near = near;
    this.hold();
    this.draw();
  }

  /** Keep the grid in sight. */
  hold() {
    const [west, east, south, north] = this.data.view.grid.extent;
    const [halfX, halfY] = [(east - west) / 2 / this.near, (north - south) / 2 / this.near];
    this.centre = [Math.min(Math.max(this.centre[0], west + halfX), east - halfX),
      Math.min(Math.max(this.centre[1], south + halfY), north - halfY)];
  }

  press(event) {
    this.down = { x: event.clientX, y: event.clientY, centre: this.centre, moved: false };
    if (this.near > 1) this.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (this.down) {
      const [dx, dy] = [event.clientX - this.down.x, event.clientY - this.down.y];
      if (Math.hypot(dx, dy) > 4) this.down.moved = true;
      if (this.down.moved && this.near > 1) {
        const km = 1 / this.perKm(this.canvas.clientWidth);
        this.centre = [this.down.centre[0] - dx * km, this.down.centre[1] + dy * km];
        this.hold();
        this.draw();
        return;
      }
    }
    this.onPoint(this.place(event));
  }

  lift(event) {
    if (this.down && !this.down.moved) this.onPick(this.place(event));
    this.down = null;
  }

  perKm(width) {
    const [west, east] = this.data.view.grid.extent;
    return (width * this.near) / (east - west);
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const km = 1 / this.perKm(box.width);
    return [this.centre[0] + (event.clientX - box.left - box.width / 2) * km,
      this.centre[1] - (event.clientY - box.top - box.height / 2) * km];
  }

  /** Show codes [Y, X] with a colour table; null where there are none, and the text says why. */
  show(codes, table, ground, point, text) {
    const { nx, ny } = this.data;
    this.shown = { ground, point, text };
    [this.picture.width, this.picture.height] = [nx, ny];
    const image = new ImageData(nx, ny);
    const from = new Uint32Array(table.buffer);
    const to = new Uint32Array(image.data.buffer);
    for (let j = 0; codes !== null && j < ny; j++) {
      for (let i = 0; i < nx; i++) to[(ny - 1 - j) * nx + i] = from[codes[j * nx + i]];
    }
    this.picture.getContext("2d").putImageData(image, 0, 0);
    this.draw();
  }

  draw() {
    if (!this.shown) return;
    const { canvas, data } = this;
    const { ground, point, text } = this.shown;
    const [west, east, south, north] = data.view.grid.extent;
    canvas.parentElement.parentElement.style.setProperty("--aspect", Math.min(Math.max((east - west) / (north - south), 0.5), 2.5));
    const pixels = Math.min(window.devicePixelRatio || 1, 2);
    [canvas.width, canvas.height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.max(Math.round(side * pixels), 1));
    const pen = canvas.getContext("2d");
    const scale = this.perKm(canvas.width);
    const to = ([x, y]) => [canvas.width / 2 + (x - this.centre[0]) * scale, canvas.height / 2 - (y - this.centre[1]) * scale];
    pen.fillStyle = text ? ground.panel : ground.missing;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.picture, ...to([west, north]), (east - west) * scale, (north - south) * scale);
    drawLines(pen, data.view.grid, to, scale, ground, pixels);
    if (point) drawCross(pen, to(point), ground, pixels);
    if (text) this.caption(pen, text, pixels);
  }

  caption(pen, text, pixels) {
    pen.font = `${14 * pixels}px system-ui, sans-serif`;
    pen.textAlign = "center";
    haloText(pen, text, this.canvas.width / 2, this.canvas.height / 4, this.shown.ground, pixels);
  }
}

function trace(pen, points, to) {
  pen.beginPath();
  for (let k = 0; k < points.length; k += 2) {
    const [x, y] = to([points[k], points[k + 1]]);
    if (k) pen.lineTo(x, y);
    else pen.moveTo(x, y);
  }
  pen.stroke();
}

/** Coast, graticule, rings and the site; the map and the floor of the 3D view share it. */
function drawLines(pen, grid, to, scale, ground, pixels, labels = true) {
  pen.lineJoin = "round";
  Object.assign(pen, { strokeStyle: ground.faint, lineWidth: 0.6 * pixels });
  pen.setLineDash([pixels, 3 * pixels]);
  for (const line of grid.graticule) trace(pen, line.points, to);
  pen.setLineDash([]);
  Object.assign(pen, { strokeStyle: ground.ink, lineWidth: 1.1 * pixels });
  for (const line of grid.coast) trace(pen, line, to);
  if (grid.rings) {
    const [x, y] = to([0, 0]);
    for (const radius of grid.rings) {
      for (const [ink, width, dash] of [[ground.halo + "80", 1.6, []], [ground.faint, 0.9, [5, 3]]]) {
        Object.assign(pen, { strokeStyle: ink, lineWidth: width * pixels });
        pen.setLineDash(dash.map((part) => part * pixels));
        pen.beginPath();
        pen.arc(x, y, radius * scale, 0, 2 * Math.PI);
        pen.stroke();
      }
    }
    pen.setLineDash([]);
    drawCross(pen, [x, y], ground, pixels, 5);
  }
  if (labels) drawLabels(pen, grid, to, ground, pixels);
}

function drawLabels(pen, grid, to, ground, pixels) {
  const { width, height } = pen.canvas;
  pen.font = `${11 * pixels}px system-ui, sans-serif`;
  pen.textAlign = "center";
  for (const radius of grid.rings ?? []) {
    const [x, y] = to([radius * Math.SQRT1_2, -radius * Math.SQRT1_2]);
    if (x > 0 && x < width && y > 0 && y < height) haloText(pen, `${radius} km`, x, y, ground, pixels);
  }
  for (const line of grid.graticule) labelLine(pen, line, to, ground, pixels);
}

/** The name of a parallel stands at the left edge, that of a meridian at the lower one, wherever the map is moved to. */
function labelLine(pen, line, to, ground, pixels) {
  const { width, height } = pen.canvas;
  const { parallel } = line;
  const axis = parallel ? 0 : 1;
  const edge = parallel ? 0 : height;
  for (let k = 2; k < line.points.length; k += 2) {
    const [a, b] = [to([line.points[k - 2], line.points[k - 1]]), to([line.points[k], line.points[k + 1]])];
    if ((a[axis] - edge) * (b[axis] - edge) > 0) continue;
    const share = (edge - a[axis]) / (b[axis] - a[axis] || 1);
    const along = a[1 - axis] + share * (b[1 - axis] - a[1 - axis]);
    const limit = parallel ? height : width;
    if (along < 30 * pixels || along > limit - 30 * pixels) return;
    pen.textAlign = parallel ? "left" : "center";
    if (parallel) haloText(pen, line.name, 4 * pixels, along, ground, pixels);
    else haloText(pen, line.name, along, height - 9 * pixels, ground, pixels);
    return;
  }
}

function haloText(pen, text, x, y, ground, pixels) {
  pen.textBaseline = "middle";
  Object.assign(pen, { strokeStyle: ground.halo, lineWidth: 3 * pixels, fillStyle: ground.ink });
  pen.strokeText(text, x, y);
  pen.fillText(text, x, y);
}

function drawCross(pen, [x, y], ground, pixels, size = 9) {
  for (const [ink, width] of [[ground.halo, 4], [ground.ink, 1.8]]) {
    Object.assign(pen, { strokeStyle: ink, lineWidth: width * pixels });
    pen.beginPath();
    pen.moveTo(x - size * pixels, y);
    pen.lineTo(x + size * pixels, y);
    pen.moveTo(x, y - size * pixels);
    pen.lineTo(x, y + size * pixels);
    pen.stroke();
  }
}
