// The page: points that the user moves, and the curves that follow.  engine.c has the models; this has the rest.

const VIEW = { x0: -2.5, x1: 2.5, y0: -2.5, y1: 2.5 };
const QUERIES = 201;                       // x at which all curves are computed, over the whole view
const JITTER = 1e-4;                       // variance of the noise that the optimum allows for
const NAMES = ['curves', 'line', 'sine', 'both'];
const SHARES = { line: [1, 0], sine: [0, 1], both: [0.5, 0.5] };   // of lines and cosines in the pretraining

const element = id => document.getElementById(id);
const stage = element('stage'), canvas = stage.querySelector('canvas');
const queries = Float32Array.from({ length: QUERIES }, (_, i) => VIEW.x0 + (VIEW.x1 - VIEW.x0) * i / (QUERIES - 1));

let points = [];                           // {x, y, button}, in the order in which the model sees them
let truth = null;                          // the function behind the points, until one is moved
let preset = '', selected = null, engine = null;
const state = { model: 'both', curve: null, squares: null, optimum: null, surprise: NaN, milliseconds: 0 };

// ----- models -----------------------------------------------------------------------------------

function embedded(id) {
  return Uint8Array.from(atob(element(id).textContent), c => c.charCodeAt(0));
}

async function start() {
  const { instance } = await WebAssembly.instantiate(embedded('engine'), {});
  engine = { ...instance.exports };
  const memory = () => engine.memory.buffer;
  const text = at => { const b = new Uint8Array(memory(), at, 512); return new TextDecoder().decode(b.slice(0, b.indexOf(0))); };
  NAMES.forEach((name, i) => {
    const file = embedded('model-' + name), at = engine.room(file.length);
    new Uint8Array(memory()).set(file, at);
    if (engine.load(i, at, file.length)) throw new Error(name + ': ' + text(engine.why()));
  });
  state.isa = text(engine.isa(0));
  engine.xs = new Float32Array(memory(), engine.point_xs(), 64);
  engine.ys = new Float32Array(memory(), engine.point_ys(), 64);
  engine.answers = new Float32Array(memory(), engine.answer_ys(), QUERIES);
  new Float32Array(memory(), engine.query_xs(), QUERIES).set(queries);
}

const capacity = () => engine.capacity(NAMES.indexOf(state.model));

// ----- what is drawn ----------------------------------------------------------------------------

// The line through the points: y = a x for models of such lines, with an intercept for curves.
function leastSquares(pts) {
  const free = state.model === 'curves', mean = f => pts.reduce((s, p) => s + f(p), 0) / pts.length;
  if (pts.length < (free ? 2 : 1)) return null;
  const mx = free ? mean(p => p.x) : 0, my = free ? mean(p => p.y) : 0;
  const slope = mean(p => (p.x - mx) * (p.y - my)) / mean(p => (p.x - mx) ** 2);
  return Number.isFinite(slope) ? Array.from(queries, x => my + slope * (x - mx)) : null;
}

// What y = b phi + noise says: the mean of b, and the logarithm of p(y), for b ~ N(0, 1), without the terms that all
// functions share.  pp, py, yy: the sums of phi^2, phi y and y^2 over the points.
function evidence(pp, py, yy) {
  const a = pp + JITTER;
  return { b: py / a, log: -0.5 * ((yy - py * py / a) / JITTER - Math.log(JITTER) + Math.log(a)) };
}

// A grid of frequencies w, and the logarithm of their share of the prior, Gamma(6, 1/6) with density
// 388.8 w^5 exp(-6 w).
const STEP = 0.001, GRID = 5001;
const priorLogs = Float64Array.from({ length: GRID }, (_, k) => Math.log(388.8 * STEP) + 5 * Math.log(k * STEP) - 6 * k * STEP);

// Calls use(k, cos(2 pi w x)) for k from..to - 1 of the grid, w = k STEP.  Each cosine comes from the two before it:
// cos (k + 1) t = 2 cos t cos k t - cos (k - 1) t.
function cosines(x, from, to, use) {
  const t = 2 * Math.PI * STEP * x, twice = 2 * Math.cos(t);
  for (let k = from, c = Math.cos(k * t), before = Math.cos((k - 1) * t); k < to; k++) {
    use(k, c);
    const next = twice * c - before;
    before = c;
    c = next;
  }
}

// The mean of f(x) given the points, for the mixture of b x and b cos(2 pi w x).
function bayes(pts, [lineShare, cosineShare]) {
  const pp = new Float64Array(GRID), py = new Float64Array(GRID), weights = new Float64Array(GRID);
  const sum = f => pts.reduce((s, p) => s + f(p), 0), yy = sum(p => p.y * p.y);
  const line = evidence(sum(p => p.x * p.x), sum(p => p.x * p.y), yy), lineLog = line.log + Math.log(lineShare);
  for (const { x, y } of pts) cosines(x, 0, GRID, (k, c) => { pp[k] += c * c; py[k] += c * y; });
  let top = lineLog, total, from = GRID, to = 0;
  for (let k = 0; k < GRID; k++) {
    weights[k] = evidence(pp[k], py[k], yy).log + priorLogs[k] + Math.log(cosineShare);
    if (weights[k] > top) top = weights[k];
  }
  const lineWeight = total = Math.exp(lineLog - top);
  for (let k = 0; k < GRID; k++) {
    const weight = Math.exp(weights[k] - top);
    total += weight;
    weights[k] = weight * evidence(pp[k], py[k], yy).b;
    if (weight > 1e-9) { from = Math.min(from, k); to = k + 1; }
  }
  return Array.from(queries, x => {
    let y = lineWeight * line.b * x;
    cosines(x, from, to, (k, c) => { y += weights[k] * c; });
    return y / total;
  });
}

// All curves, from the points.
function compute() {
  const i = NAMES.indexOf(state.model), pts = points.slice(0, capacity()), began = performance.now();
  pts.forEach((p, k) => { engine.xs[k] = p.x; engine.ys[k] = p.y; });
  const error = engine.ask(i, pts.length, QUERIES);
  state.curve = error ? null : Array.from(engine.answers);
  state.surprise = pts.length ? engine.surprise(i) : NaN;
  state.engineMilliseconds = performance.now() - began;
  state.squares = leastSquares(pts);
  state.optimum = SHARES[state.model] ? bayes(pts, SHARES[state.model]) : null;
  state.milliseconds = performance.now() - began;
}

// ----- drawing ----------------------------------------------------------------------------------

const MARGIN = { left: 38, right: 10, top: 8, bottom: 36 };
const size = () => ({ w: stage.clientWidth, h: stage.clientHeight });
function toScreen(x, y) {
  const { w, h } = size(), u = (x - VIEW.x0) / (VIEW.x1 - VIEW.x0), v = (VIEW.y1 - y) / (VIEW.y1 - VIEW.y0);
  return [MARGIN.left + u * (w - MARGIN.left - MARGIN.right), MARGIN.top + v * (h - MARGIN.top - MARGIN.bottom)];
}
function toPlot(left, top) {
  const { w, h } = size();
  const u = (left - MARGIN.left) / (w - MARGIN.left - MARGIN.right), v = (top - MARGIN.top) / (h - MARGIN.top - MARGIN.bottom);
  return { x: VIEW.x0 + u * (VIEW.x1 - VIEW.x0), y: VIEW.y1 - v * (VIEW.y1 - VIEW.y0) };
}
const inView = p => p.x >= VIEW.x0 && p.x <= VIEW.x1 && p.y >= VIEW.y0 && p.y <= VIEW.y1;

const CURVES = [                           // key, colour, dashes, width; drawn in this order
  { key: 'truth', colour: '--truth', dash: [2, 4], width: 2, label: () => 'function behind the points' },
  { key: 'squares', colour: '--squares', dash: [8, 5], width: 2,
    label: () => state.model === 'curves' ? 'least squares line' : 'least squares, y = ax' },
  { key: 'optimum', colour: '--optimum', dash: [10, 4, 2, 4], width: 2.5, label: () => 'optimum for its pretraining' },
  { key: 'curve', colour: '--model', dash: [], width: 3, label: () => 'the model' },
];
const fine = Array.from({ length: 1001 }, (_, i) => VIEW.x0 + (VIEW.x1 - VIEW.x0) * i / 1000);
const values = key => key === 'truth' ? truth && fine.map(truth) : state[key];

function axes(g, colour) {
  g.font = '12px system-ui, sans-serif';
  g.lineWidth = 1;
  for (let t = -2; t <= 2; t++) {
    const [x] = toScreen(t, 0), [, y] = toScreen(0, t), [left, bottom] = toScreen(VIEW.x0, VIEW.y0);
    const [right, top] = toScreen(VIEW.x1, VIEW.y1), label = String(t).replace('-', '\u2212');
    g.strokeStyle = colour(t ? '--grid' : '--line');
    g.beginPath();
    g.moveTo(x, top); g.lineTo(x, bottom);
    g.moveTo(left, y); g.lineTo(right, y);
    g.stroke();
    g.fillStyle = colour('--soft');
    g.textAlign = 'center'; g.textBaseline = 'top'; g.fillText(label, x, bottom + 4);
    g.textAlign = 'right'; g.textBaseline = 'middle'; g.fillText(label, left - 6, y);
  }
  const { w, h } = size();
  g.textAlign = 'center'; g.textBaseline = 'bottom'; g.fillText('x (standard deviations)', w / 2, h);
  g.save(); g.translate(0, h / 2); g.rotate(-Math.PI / 2); g.textBaseline = 'top'; g.fillText('y', 18, 2); g.restore();
}

function draw() {
  const { w, h } = size(), scale = window.devicePixelRatio || 1, g = canvas.getContext('2d');
  const style = getComputedStyle(document.documentElement), colour = name => style.getPropertyValue(name);
  const [left, top] = toScreen(VIEW.x0, VIEW.y1), [right, bottom] = toScreen(VIEW.x1, VIEW.y0);
  if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) {
    canvas.width = Math.round(w * scale);
    canvas.height = Math.round(h * scale);
  }
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, w, h);
  axes(g, colour);
  g.save();
  g.beginPath(); g.rect(left, top, right - left, bottom - top); g.clip();
  for (const { key, colour: name, dash, width } of CURVES) {
    const ys = values(key);
    if (!ys) continue;
    g.strokeStyle = colour(name); g.lineWidth = width; g.setLineDash(dash); g.lineJoin = 'round';
    g.beginPath();
    const xs = key === 'truth' ? fine : queries;
    ys.forEach((y, i) => g.lineTo(...toScreen(xs[i], Math.max(-99, Math.min(99, y)))));
    g.stroke();
  }
  g.restore();
}

function placePoints() {
  const room = capacity();
  points.forEach((p, i) => {
    const [left, top] = toScreen(p.x, p.y);
    p.button.style.left = left + 'px';
    p.button.style.top = top + 'px';
    p.button.classList.toggle('left-out', i >= room);
    p.button.setAttribute('aria-label', `Point ${i + 1} of ${points.length}: x ${p.x.toFixed(2)}, y ${p.y.toFixed(2)}`);
  });
}

function showLegend() {
  const items = CURVES.filter(c => values(c.key)).reverse().map(c => `<li><svg viewBox="0 0 26 10" aria-hidden="true">
    <path d="M0 5H26" fill="none" stroke="var(${c.colour})" stroke-width="${c.width}" stroke-dasharray="${c.dash}"/></svg>${c.label()}</li>`);
  if (element('legend').innerHTML !== items.join('')) element('legend').innerHTML = items.join('');
}

function showSurprise() {
  const s = state.surprise, known = Number.isFinite(s), say = !points.length ? 'No points: there is nothing to judge yet.'
    : !known ? 'This model does not say.'
    : s > 1 ? 'Unlike anything this model was trained on: fewer than one in a hundred of its training contexts look as odd. Do not trust the curve.'
    : s > 0.6 ? 'Unusual for this model, though such contexts did occur in its training.'
    : 'Looks like what this model was trained on.';
  element('figure').textContent = known ? s.toFixed(2).replace('-', '\u2212') : '';
  element('gauge').setAttribute('aria-valuenow', known ? s.toFixed(2) : 0);
  element('gauge').setAttribute('aria-valuetext', say);
  element('needle').style.left = Math.max(0, Math.min(100, (s + 1) / 3 * 100)) + '%';
  element('needle').hidden = !known;
  if (element('verdict').textContent !== say) element('verdict').textContent = say;
}

function showNotice() {
  const extra = points.length - capacity();
  const say = (extra > 0 ? `This model takes ${capacity()} points: the last ${extra} (hollow) are left out. ` : '')
    + (state.curve ? '' : 'The model has no answer: a number is too large.');
  if (element('notice').textContent !== say) element('notice').textContent = say;
}

// Everything is computed and drawn once a frame, and only when something has changed.
let asked = false;
function change() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    compute(); draw(); placePoints(); showLegend(); showSurprise(); showNotice();
  });
}

// ----- points -----------------------------------------------------------------------------------

function addPoint(x, y) {
  const button = document.createElement('button'), p = { x: Math.fround(x), y: Math.fround(y), button };
  if (points.length >= capacity()) { element('notice').textContent = `This model takes ${capacity()} points.`; return null; }
  button.className = 'point';
  button.type = 'button';
  button.addEventListener('focus', () => { selected = p; });
  stage.append(button);
  points.push(p);
  edited();
  return p;
}

function movePoint(p, x, y) {
  p.x = Math.fround(Math.max(VIEW.x0, Math.min(VIEW.x1, x)));
  p.y = Math.fround(Math.max(VIEW.y0, Math.min(VIEW.y1, y)));
  edited();
}

function removePoint(p) {
  const i = points.indexOf(p);
  if (i < 0) return;
  points.splice(i, 1);
  p.button.remove();
  selected = points[Math.min(i, points.length - 1)] || null;
  if (selected) selected.button.focus({ preventScroll: true });
  edited();
}

// The points are the user's from here on.
function edited() {
  truth = null;
  showPreset('');
  change();
}

function nearest(left, top, within) {
  let best = null, least = within;
  for (const p of points) {
    const [x, y] = toScreen(p.x, p.y), d = Math.hypot(x - left, y - top);
    if (d < least) { best = p; least = d; }
  }
  return best;
}

// Where the keyboard adds: the middle of the widest gap between points.
function gap() {
  const xs = [VIEW.x0 + 0.5, ...points.map(p => p.x).sort((a, b) => a - b), VIEW.x1 - 0.5];
  let at = 0;
  for (let i = 0; i + 1 < xs.length; i++) if (xs[i + 1] - xs[i] > xs[at + 1] - xs[at]) at = i;
  return (xs[at] + xs[at + 1]) / 2;
}
function addByKey() { const p = addPoint(gap(), 0); if (p) p.button.focus({ preventScroll: true }); }

const drags = new Map();                   // pointer id: {point, moved, left, top}
function where(event) {
  const box = stage.getBoundingClientRect();
  return { left: event.clientX - box.left, top: event.clientY - box.top };
}
stage.addEventListener('pointerdown', event => {
  if (event.button) return;
  const { left, top } = where(event), point = nearest(left, top, event.pointerType === 'touch' ? 28 : 14);
  event.preventDefault();
  if (point) point.button.focus({ preventScroll: true });
  drags.set(event.pointerId, { point, left, top, moved: false });
  stage.setPointerCapture(event.pointerId);
});
stage.addEventListener('pointermove', event => {
  const drag = drags.get(event.pointerId), { left, top } = where(event);
  if (!drag) { stage.style.cursor = nearest(left, top, 14) ? 'grab' : ''; return; }
  if (Math.hypot(left - drag.left, top - drag.top) > 4) drag.moved = true;
  if (drag.point && drag.moved) { const p = toPlot(left, top); movePoint(drag.point, p.x, p.y); }
});
stage.addEventListener('pointerup', event => {
  const drag = drags.get(event.pointerId), { left, top } = where(event), p = toPlot(left, top), { w, h } = size();
  drags.delete(event.pointerId);
  if (!drag) return;
  if (drag.point && (left < 0 || top < 0 || left > w || top > h)) removePoint(drag.point);
  else if (!drag.point && !drag.moved && inView(p)) {
    const added = addPoint(p.x, p.y);
    if (added) { added.button.focus({ preventScroll: true }); added.born = event.timeStamp; }
  }
});
stage.addEventListener('pointercancel', event => drags.delete(event.pointerId));
stage.addEventListener('dblclick', event => {
  const { left, top } = where(event), point = nearest(left, top, 20);
  if (point && !(event.timeStamp - point.born < 600)) removePoint(point);   // not the one that its clicks made
});

document.addEventListener('keydown', event => {
  const point = points.find(p => p.button === document.activeElement), far = event.shiftKey ? 0.25 : 0.05;
  const moves = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (point && moves[event.key]) movePoint(point, point.x + moves[event.key][0], point.y + moves[event.key][1]);
  else if (point && (event.key === 'Delete' || event.key === 'Backspace')) removePoint(point);
  else if (event.key.toLowerCase() === 'n' && event.target.tagName !== 'SELECT') addByKey();
  else return;
  event.preventDefault();
});

// ----- presets ----------------------------------------------------------------------------------

// Standard normal numbers, the same for the same seed.
function normals(seed) {
  const uniform = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0, (seed + 0.5) / 4294967296);
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

const wave = w => x => Math.cos(2 * Math.PI * w * x);

// A function from the model's pretraining mixture.
function drawFunction(normal) {
  const uniform = Math.random, a = normal(), b = normal();
  let frequency = 0;
  for (let i = 0; i < 6; i++) frequency -= Math.log(1 - uniform()) / 6;         // Gamma(6, 1/6)
  if (state.model === 'line' || (state.model === 'both' && uniform() < 0.5)) return x => a * x;
  if (state.model !== 'curves') return x => b * wave(frequency)(x);
  const kind = Math.floor(3 * uniform()), phase = uniform();
  if (kind === 0) return x => (a * x + b) / Math.SQRT2;
  if (kind === 1) { const c = normal(); return x => (a + b * x + c * (x * x - 1) / Math.SQRT2) / Math.sqrt(3); }
  frequency = 0.1 + 0.9 * uniform();
  return x => a * wave(frequency)(x - phase / frequency);
}

const PRESETS = {
  line: () => x => 0.8 * x,
  cosine: () => wave(1),
  combination: () => { const alpha = +element('alpha').value; return x => alpha * x + (1 - alpha) * wave(1)(x); },
  frequency: () => wave(+element('frequency').value),
  random: () => drawFunction(normals(Math.floor(Math.random() * 4294967296))),
};

// Sixteen points of the function; x ~ N(0, 1), always the same but for random ones.
function usePreset(name) {
  for (const p of points) p.button.remove();
  points = [];
  selected = null;
  if (PRESETS[name]) {
    const f = PRESETS[name](), normal = normals(name === 'random' ? Math.floor(Math.random() * 4294967296) : 9);
    for (let tries = 0; points.length < 16 && tries < 999; tries++) {
      const x = normal();
      if (inView({ x, y: f(x) })) addPoint(x, f(x));
    }
    truth = f;
  } else edited();
  showPreset(name);
}

function showPreset(name) {
  if (preset === name) return;
  preset = name;
  for (const b of element('presets').children) b.setAttribute('aria-pressed', b.dataset.preset === name);
  for (const label of document.querySelectorAll('label[data-for]'))
    if (name) label.hidden = label.dataset.for !== name;
}

element('presets').addEventListener('click', event => {
  if (event.target.dataset.preset) usePreset(event.target.dataset.preset);
});
for (const label of document.querySelectorAll('label[data-for]'))
  label.addEventListener('input', event => {
    label.querySelector('output').textContent = (+event.target.value).toFixed(2);
    usePreset(label.dataset.for);
  });
element('add').addEventListener('click', addByKey);
element('remove').addEventListener('click', () => removePoint(selected || points[points.length - 1]));
element('model').addEventListener('change', event => { state.model = event.target.value; change(); });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', change);

start().then(() => {
  new ResizeObserver(change).observe(stage);
  usePreset('combination');
  window.page = { state, queries, get points() { return points.map(({ x, y }) => ({ x, y })); } };   // for tests
}).catch(error => {
  element('notice').textContent = 'The engine does not run here (it needs WebAssembly with SIMD): ' + error.message;
});
