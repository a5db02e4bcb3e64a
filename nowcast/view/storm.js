// The storm in 3D, by WebGL 2.

const FOCAL = 2.2;
const SHELLS_DBZ = [35, 45, 55];
const OPACITIES = [0.13, 0.3, 0.65, 1];

class Storm {
  constructor(canvas, overlay) {
    Object.assign(this, { canvas, overlay, yaw: 0.5, pitch: 0.55, distance: 3, exaggeration: 4, least: 20, style: "surfaces" });
    this.gl = canvas.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true });
    if (this.gl === null) return;
    this.build();
    canvas.onpointerdown = (event) => {
      this.from = { x: event.clientX, y: event.clientY, yaw: this.yaw, pitch: this.pitch };
      canvas.setPointerCapture(event.pointerId);
    };
    canvas.onpointermove = (event) => {
      if (!this.from) return;
      this.turn(this.from.yaw + (this.from.x - event.clientX) * 0.008, this.from.pitch + (event.clientY - this.from.y) * 0.008);
    };
    canvas.onpointerup = canvas.onpointercancel = () => {
      this.from = null;
      this.draw();
    };
    canvas.onwheel = (event) => {
      event.preventDefault();
      this.come(event.deltaY < 0 ? 0.9 : 1.1);
    };
  }

  turn(yaw, pitch) {
    [this.yaw, this.pitch] = [yaw, Math.min(Math.max(pitch, 0.03), 1.54)];
    this.soon();
  }

  come(factor) {
    this.distance = Math.min(Math.max(this.distance * factor, 0.8), 9);
    this.soon();
  }

  /** Draw once before the next picture of the screen, however often this is asked for. */
  soon() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = undefined;
      this.draw();
    });
  }

  build() {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    this.at = (name) => gl.getUniformLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(program, "corner");
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.textures = [gl.TEXTURE_3D, gl.TEXTURE_2D, gl.TEXTURE_2D].map((target, unit) => {
      const texture = gl.createTexture();
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(target, texture);
      for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R]) {
        if (target === gl.TEXTURE_3D || side !== gl.TEXTURE_WRAP_R) gl.texParameteri(target, side, gl.CLAMP_TO_EDGE);
      }
      const near = unit === 1 ? gl.NEAREST : gl.LINEAR;
      gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, unit === 2 ? gl.LINEAR_MIPMAP_LINEAR : near);
      gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, near);
      return texture;
    });
    ["volume", "classes", "floorMap"].forEach((name, unit) => gl.uniform1i(this.at(name), unit));
  }

  /** Show codes [Z, Y, X] of a grid; `table` has the colour of each code. */
  show(codes, data, table, scale, ground, level) {
    Object.assign(this, { codes, data, scale, ground, level });
    if (this.gl === null) return;
    const { gl } = this;
    const { nx, ny, nz } = data;
    gl.activeTexture(gl.TEXTURE0);
    gl.texImage3D(gl.TEXTURE_3D, 0, gl.R8, nx, ny, nz, 0, gl.RED, gl.UNSIGNED_BYTE, codes ?? new Uint8Array(nx * ny * nz));
    gl.activeTexture(gl.TEXTURE1);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(table.buffer));
    this.floor();
    this.bounds();
    this.soon();
  }

  /** The map's lines as the floor. */
  floor() {
    const { gl, data, ground } = this;
    const [west, east, south, north] = data.view.grid.extent;
    const scale = 1024 / Math.max(east - west, north - south);
    const paper = document.createElement("canvas");
    [paper.width, paper.height] = [(east - west) * scale, (north - south) * scale].map(Math.round);
    const pen = paper.getContext("2d");
    pen.fillStyle = ground.nothing;
    pen.fillRect(0, 0, paper.width, paper.height);
    drawLines(pen, data.view.grid, ([x, y]) => [(x - west) * scale, (north - y) * scale], scale, ground, 2, false);
    gl.activeTexture(gl.TEXTURE2);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, true);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, paper);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
    gl.generateMipmap(gl.TEXTURE_2D);
  }

  /** The part of the box that holds echo: rays pass the rest at once. */
  bounds() {
    const { codes, data, scale } = this;
    const { nx, ny, nz } = data;
    const from = Math.ceil(this.least / scale.coding.step) + 1;
    const [low, high] = [[nx, ny, nz], [-1, -1, -1]];
    if (codes) {
      for (let z = 0, at = 0; z < nz; z++) {
        for (let y = 0; y < ny; y++) {
          for (let x = 0; x < nx; x++, at++) {
            if (codes[at] < from) continue;
            if (x < low[0]) low[0] = x;
            if (x > high[0]) high[0] = x;
            if (y < low[1]) low[1] = y;
            if (y > high[1]) high[1] = y;
            if (z < low[2]) low[2] = z;
            if (z > high[2]) high[2] = z;
          }
        }
      }
    }
    this.empty = high[0] < 0;
    const sizes = [nx, ny, nz];
    this.low = low.map((value, k) => Math.max(value - 1, 0) / sizes[k]);
    this.high = high.map((value, k) => Math.min(value + 2, sizes[k]) / sizes[k]);
  }

  /** Reflectivities of the surfaces, dBZ. */
  shells() {
    return [this.least, ...SHELLS_DBZ.filter((dbz) => dbz > this.least)];
  }

  camera() {
    const { data } = this;
    const [west, east, south, north] = data.view.grid.extent;
    const z = data.view.grid.z;
    const depth = z.length > 1 ? (z[1] - z[0]) * z.length : 1;
    const unit = Math.max(east - west, north - south);
    const half = [(east - west) / unit, (north - south) / unit, (depth * this.exaggeration) / unit];
    const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    const ahead = [-cp * sy, cp * cy, -sp];
    const eye = ahead.map((part, k) => -part * this.distance - (k === 2 ? 0.3 * half[2] : 0));
    return { half, ahead, eye, right: [cy, sy, 0], above: [-sp * sy, sp * cy, cp] };
  }

  draw() {
    if (!this.gl || !this.data) return;
    const { gl, canvas, data, ground } = this;
    // While it is turned fewer rays have to do.
    const pixels = (this.from ? 0.55 : 1) * Math.min(window.devicePixelRatio || 1, 1.5);
    const size = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.max(Math.round(side * pixels), 1));
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    gl.viewport(0, 0, ...size);
    const camera = this.camera();
    const aspect = size[0] / size[1];
    const set3 = (name, value) => gl.uniform3fv(this.at(name), value);
    const set1 = (name, value) => gl.uniform1f(this.at(name), value);
    for (const name of ["eye", "ahead", "right", "above"]) set3(name, camera[name]);
    set3("half_", camera.half);
    set3("low", this.low);
    set3("high", this.high);
    set3("voxel", [1 / data.nx, 1 / data.ny, 1 / data.nz]);
    set3("background", rgb(ground.panel).map((part) => part / 255));
    const levels = this.shells();
    // What is not used is never reached.
    gl.uniform4fv(this.at("levels"), [...levels, 1000, 1000, 1000].slice(0, 4));
    gl.uniform4fv(this.at("opacities"), OPACITIES);
    set1("aspect", aspect);
    set1("focal", FOCAL);
    set1("least", this.least);
    set1("stepDbz", this.scale.coding.step);
    set1("stepLength", Math.max((2 * 0.7) / Math.max(data.nx, data.ny), 0.004));
    gl.uniform1i(this.at("cloud"), this.style === "cloud");
    gl.uniform1i(this.at("empty"), this.empty);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    this.drawBox(camera, aspect);
  }

  /** Edges, heights and the points of the compass. */
  drawBox({ half, ahead, eye, right, above }, aspect) {
    const { overlay, ground, data } = this;
    const pixels = Math.min(window.devicePixelRatio || 1, 2);
    [overlay.width, overlay.height] = [this.canvas.clientWidth * pixels, this.canvas.clientHeight * pixels];
    const pen = overlay.getContext("2d");
    const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    const to = (point) => {
      const from = point.map((part, k) => part - eye[k]);
      const far = dot(from, ahead);
      if (far < 0.05) return null;
      return [overlay.width * (0.5 + (0.5 * FOCAL * dot(from, right)) / far / aspect),
        overlay.height * (0.5 - (0.5 * FOCAL * dot(from, above)) / far)];
    };
    const line = (a, b, ink) => {
      const [p, q] = [to(a), to(b)];
      if (!p || !q) return;
      pen.strokeStyle = ink;
      pen.beginPath();
      pen.moveTo(...p);
      pen.lineTo(...q);
      pen.stroke();
    };
    const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([x, y]) => [x * half[0], y * half[1]]);
    const rectangle = (z, ink) => corners.forEach((corner, k) => line([...corner, z], [...corners[(k + 1) % 4], z], ink));
    const z = data.view.grid.z;
    const dz = z.length > 1 ? z[1] - z[0] : 1;
    const height = (km) => -half[2] + (2 * half[2] * (km - z[0] + dz / 2)) / (dz * z.length);
    pen.lineWidth = pixels;
    rectangle(-half[2], ground.faint);
    rectangle(half[2], ground.faint + "60");
    if (this.level !== null) rectangle(height(z[this.level]), ground.ink);
    // Heights stand along the edge that is farthest to the left.
    const places = corners.map((corner) => to([...corner, 0]));
    corners.forEach((corner) => line([...corner, -half[2]], [...corner, half[2]], ground.faint + "60"));
    const left = corners[places.reduce((best, place, k) => (place && (!places[best] || place[0] < places[best][0]) ? k : best), 0)];
    pen.font = `${11 * pixels}px system-ui, sans-serif`;
    pen.textAlign = "right";
    const every = dz * z.length > 8 ? 5 : 2;
    for (let km = every; km <= z[z.length - 1]; km += every) {
      const place = km >= z[0] - dz / 2 ? to([...left, height(km)]) : null;
      if (place) haloText(pen, `${km} km`, place[0] - 4 * pixels, place[1], ground, pixels);
    }
    pen.textAlign = "center";
    for (const [name, x, y] of [["N", 0, 1], ["E", 1, 0], ["S", 0, -1], ["W", -1, 0]]) {
      const place = to([x * (half[0] + 0.09), y * (half[1] + 0.09), -half[2]]);
      if (place) haloText(pen, name, ...place, ground, pixels);
    }
  }
}
