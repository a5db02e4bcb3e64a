// The column that was clicked: its profile now, and its levels over time.

const MARGIN = { left: 40, right: 8, top: 8, bottom: 32 };

function sheet(canvas) {
  const pixels = Math.min(window.devicePixelRatio || 1, 2);
  [canvas.width, canvas.height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.max(Math.round(side * pixels), 1));
  const pen = canvas.getContext("2d");
  pen.scale(pixels, pixels);
  pen.font = "11px system-ui, sans-serif";
  const [width, height] = [canvas.clientWidth - MARGIN.left - MARGIN.right, canvas.clientHeight - MARGIN.top - MARGIN.bottom];
  return { pen, width, height };
}

/** Edges of the levels from the lowest to the highest, km, and where they stand. */
function heights(data, height) {
  const z = data.view.grid.z;
  const step = z.length > 1 ? z[1] - z[0] : 1;
  const low = Math.min(0, z[0] - step / 2);
  const high = z[z.length - 1] + step / 2;
  return { z, step, low, high, at: (km) => MARGIN.top + height * (1 - (km - low) / (high - low)) };
}

function heightAxis(pen, scale, width, ground) {
  const round = [1, 2, 5, 10].find((step) => (scale.high - scale.low) / step <= 8) ?? 20;
  Object.assign(pen, { strokeStyle: ground.faint + "55", fillStyle: ground.ink, lineWidth: 1, textAlign: "right", textBaseline: "middle" });
  for (let km = 0; km <= scale.high; km += round) {
    pen.beginPath();
    pen.moveTo(MARGIN.left, scale.at(km));
    pen.lineTo(MARGIN.left + width, scale.at(km));
    pen.stroke();
    pen.fillText(String(km), MARGIN.left - 5, scale.at(km));
  }
  pen.save();
  pen.translate(11, (scale.at(scale.low) + scale.at(scale.high)) / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.fillText("height [km]", 0, 0);
  pen.restore();
}

function columnCodes(data, source, frame, [i, j]) {
  const volume = data.volume(source, frame);
  return volume && Array.from({ length: data.nz }, (_, z) => volume[(z * data.ny + j) * data.nx + i]);
}

function drawProfile(canvas, data, codes, level, scale, palette, ground) {
  const { pen, width, height } = sheet(canvas);
  const up = heights(data, height);
  const across = (dbz) => MARGIN.left + (width * dbz) / 75;
  codes?.forEach((code, k) => {
    const [top, bottom] = [up.at(up.z[k] + up.step / 2), up.at(up.z[k] - up.step / 2)];
    pen.fillStyle = colourOf(scale, palette, ground, code);
    const value = Math.max(valueOf(scale, code), 0);
    pen.fillRect(MARGIN.left, top, code === CODE_MISSING ? width : across(Math.min(value, 75)) - MARGIN.left, bottom - top);
  });
  heightAxis(pen, up, width, ground);
  pen.textAlign = "center";
  for (let dbz = 0; dbz <= 75; dbz += 15) pen.fillText(String(dbz), across(dbz), MARGIN.top + height + 9);
  pen.fillText("reflectivity [dBZ]", MARGIN.left + width / 2, MARGIN.top + height + 23);
  Object.assign(pen, { strokeStyle: ground.ink, lineWidth: 1 });
  pen.strokeRect(MARGIN.left, MARGIN.top, width, height);
  if (level !== null) marker(pen, MARGIN.left, up.at(up.z[level]), width, ground);
}

function marker(pen, x, y, width, ground) {
  pen.strokeStyle = ground.ink;
  pen.setLineDash([4, 3]);
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x + width, y);
  pen.stroke();
  pen.setLineDash([]);
}

/** Levels over time; `columns` holds the codes of each frame, null where it has none. */
function drawHistory(canvas, data, columns, now, scale, palette, ground) {
  const { pen, width, height } = sheet(canvas);
  const up = heights(data, height);
  const count = columns.length;
  const at = (frame) => MARGIN.left + (width * frame) / count;
  columns.forEach((codes, frame) => {
    codes?.forEach((code, k) => {
      const [top, bottom] = [up.at(up.z[k] + up.step / 2), up.at(up.z[k] - up.step / 2)];
      pen.fillStyle = colourOf(scale, palette, ground, code);
      pen.fillRect(at(frame), top, at(frame + 1) - at(frame) + 0.5, bottom - top + 0.5);
    });
  });
  heightAxis(pen, up, width, ground);
  pen.textAlign = "center";
  const every = Math.ceil((count * 44) / width);
  for (let frame = 0; frame < count; frame += every) {
    const x = Math.min(at(frame + 0.5), MARGIN.left + width - 14);
    pen.fillText(clock(data.view.times[frame]), x, MARGIN.top + height + 9);
  }
  pen.fillText("valid time [UTC]", MARGIN.left + width / 2, MARGIN.top + height + 23);
  Object.assign(pen, { strokeStyle: ground.ink, lineWidth: 1 });
  pen.strokeRect(MARGIN.left, MARGIN.top, width, height);
  pen.lineWidth = 2;
  pen.strokeRect(at(now) + 1, MARGIN.top + 1, at(now + 1) - at(now) - 2, height - 2);
}
