// Rays through the volume: surfaces of equal reflectivity, or a cloud that is denser where echo is stronger.

const VERTEX = `#version 300 es
in vec2 corner;
out vec2 at;
void main() { at = corner; gl_Position = vec4(corner, 0.0, 1.0); }`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler3D;
in vec2 at;
out vec4 colour;
uniform sampler3D volume;    // codes / 255: code 0 not observed, 1 no echo, then steps of dBZ
uniform sampler2D classes;   // colour of each code
uniform sampler2D floorMap;
uniform vec3 eye, ahead, right, above;
uniform vec3 half_;          // half sizes of the box, which stands around the origin
uniform vec3 low, high;      // the part of it, 0..1, that holds echo
uniform vec4 levels, opacities;
uniform vec3 background, voxel;
uniform float aspect, focal, stepLength, stepDbz, least;
uniform bool cloud, empty;

float dbz(vec3 p) { return max(texture(volume, p).r * 255.0 - 1.0, 0.0) * stepDbz; }
vec3 classOf(float value) { return texture(classes, vec2((floor(value / stepDbz + 0.5) + 1.5) / 256.0, 0.5)).rgb; }

vec3 lit(vec3 p, vec3 base, vec3 ray) {
  vec3 slope = vec3(dbz(p + vec3(voxel.x, 0, 0)) - dbz(p - vec3(voxel.x, 0, 0)),
                    dbz(p + vec3(0, voxel.y, 0)) - dbz(p - vec3(0, voxel.y, 0)),
                    dbz(p + vec3(0, 0, voxel.z)) - dbz(p - vec3(0, 0, voxel.z)));
  vec3 normal = -slope / (2.0 * voxel * 2.0 * half_);
  float size = length(normal);
  if (size < 1e-6) return base;
  normal /= size;
  vec3 sun = normalize(vec3(-0.45, -0.35, 0.85) - 0.4 * ray);
  return base * (0.55 + 0.5 * max(dot(normal, sun), 0.0)) + 0.10 * pow(max(dot(reflect(ray, normal), sun), 0.0), 24.0);
}

void main() {
  vec3 ray = normalize(ahead * focal + right * at.x * aspect + above * at.y);
  vec3 rest = background;
  float down = (-half_.z - eye.z) / ray.z;
  vec2 ground = (eye + ray * down).xy / half_.xy * 0.5 + 0.5;
  bool floorHit = down > 0.0 && all(greaterThan(ground, vec2(0.0))) && all(lessThan(ground, vec2(1.0)));
  if (floorHit) rest = texture(floorMap, ground).rgb;

  vec3 a = ((2.0 * low - 1.0) * half_ - eye) / ray, b = ((2.0 * high - 1.0) * half_ - eye) / ray;
  vec3 first = min(a, b), last = max(a, b);
  float start = max(max(first.x, max(first.y, first.z)), 0.0), end = min(last.x, min(last.y, last.z));
  vec3 sum = vec3(0.0);
  float left = 1.0;
  if (!empty && end > start) {
    float noise = fract(sin(dot(gl_FragCoord.xy, vec2(12.9898, 78.233))) * 43758.5453);
    float t = start + (cloud ? noise * stepLength : 0.0), before = 0.0;
    for (int i = 0; i < 900; i++) {
      if (t > end + stepLength || left < 0.02) break;
      vec3 p = (eye + ray * min(t, end)) / half_ * 0.5 + 0.5;
      float value = t > end ? 0.0 : dbz(p);
      if (cloud) {
        if (value >= least) {
          float share = 1.0 - exp(-stepLength * 4.0 * exp(0.085 * (value - 20.0)));
          sum += left * share * lit(p, classOf(value), ray);
          left *= 1.0 - share;
        }
      } else {
        for (int k = 0; k < 4; k++) {
          int n = value > before ? k : 3 - k;
          float level = levels[n];
          if ((before < level) == (value < level)) continue;
          float back = (value - level) / (value - before);
          vec3 hit = (eye + ray * clamp(t - back * stepLength, start, end)) / half_ * 0.5 + 0.5;
          sum += left * opacities[n] * lit(hit, classOf(level), ray);
          left *= 1.0 - opacities[n];
        }
      }
      before = value;
      t += stepLength;
    }
  }
  colour = vec4(sum + left * rest, 1.0);
}`;
