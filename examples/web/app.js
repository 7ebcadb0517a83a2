// The page: points that the user moves, and the curves that follow.  engine.c has the models; this has the rest.

const VIEW = { x0: -2.5, x1: 2.5, y0: -2.5, y1: 2.5 };   // what the engine sees of the plot, whatever its units
const QUERIES = 201;                       // x at which all curves are computed, over the whole view
const POINTS = 64;                         // the most
const JITTER = 1e-4;                       // variance of the noise that the optimum allows for
const NAMES = ['curves', 'both'];
const SHARES = { both: [0.5, 0.5] };       // of lines and cosines in the pretraining
const ABOUT = {
  curves: 'Trained on curves of many kinds, most of them noisy. It scales the points itself, takes up to 64 of them in any '
    + 'order, and corrects itself once by what it missed at them. While nothing moves, it looks at their mirror images too.',
  both: 'Trained on lines and on cosines, never on a sum of the two: <i>Combination</i> shows that it does not learn one '
    + 'from its points (Yadlowsky et al. 2023). Its band learned from the same functions, and is too narrow there.',
};
const PLAIN = { own: false, names: ['x', 'y'], x: 0, y: 0, dx: 1, dy: 1 };

const element = id => document.getElementById(id);
const stage = element('stage'), canvas = stage.querySelector('canvas');
const queries = Float32Array.from({ length: QUERIES }, (_, i) => VIEW.x0 + (VIEW.x1 - VIEW.x0) * i / (QUERIES - 1));

let units = PLAIN;                         // a place (u, v) of the view is x + dx u, y + dy v to the user
let points = [];                           // {x, y, button}, in the user's units, in the order of their coming
let truth = null;                          // the function behind the points, until one is moved
let preset = '', selected = null, engine = null, said = '';
const state = { model: 'curves', curve: null, low: null, high: null, squares: null, optimum: null, surprise: NaN,
                rmse: NaN, images: false, milliseconds: 0 };

const seen = p => ({ x: (p.x - units.x) / units.dx, y: (p.y - units.y) / units.dy });
const told = p => ({ x: units.x + units.dx * p.x, y: units.y + units.dy * p.y });

// ----- models -----------------------------------------------------------------------------------

async function embedded(id) {
  const packed = new Blob([Uint8Array.from(atob(element(id).textContent), c => c.charCodeAt(0))]);
  return new Uint8Array(await new Response(packed.stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer());
}

async function start() {
  const { instance } = await WebAssembly.instantiate(await embedded('engine'), {});
  engine = { ...instance.exports };
  const memory = () => engine.memory.buffer;
  const text = at => { const b = new Uint8Array(memory(), at, 512); return new TextDecoder().decode(b.slice(0, b.indexOf(0))); };
  for (const [i, name] of NAMES.entries()) {
    const file = await embedded('model-' + name), at = engine.room(file.length);
    new Uint8Array(memory()).set(file, at);
    if (engine.load(i, at, file.length)) throw new Error(name + ': ' + text(engine.why()));
  }
  state.isa = text(engine.isa(0));
  engine.xs = new Float32Array(memory(), engine.point_xs(), POINTS);
  engine.ys = new Float32Array(memory(), engine.point_ys(), POINTS);
  engine.answers = new Float32Array(memory(), engine.answer_ys(), QUERIES);
  engine.low = new Float32Array(memory(), engine.lows(), QUERIES);
  engine.high = new Float32Array(memory(), engine.highs(), QUERIES);
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

// The model's curve and band.  With mirror images, as icl predict has them, it takes four times as long.
function ask(pts, images) {
  const i = NAMES.indexOf(state.model), error = engine.ask(i, pts.length, QUERIES, images), band = !error && engine.has_interval(i);
  state.curve = error ? null : Array.from(engine.answers);
  state.low = band ? Array.from(engine.low) : null;
  state.high = band ? Array.from(engine.high) : null;
  state.images = Boolean(band && images && engine.looks_twice(i));
}

// All curves, from the points, as the engine sees them.
function compute() {
  const i = NAMES.indexOf(state.model), pts = points.slice(0, capacity()).map(seen), began = performance.now();
  pts.forEach((p, k) => { engine.xs[k] = p.x; engine.ys[k] = p.y; });
  ask(pts, 0);
  state.surprise = pts.length ? engine.surprise(i) : NaN;
  state.rmse = NaN;
  state.engineMilliseconds = performance.now() - began;
  state.squares = leastSquares(pts);
  state.optimum = SHARES[state.model] && !units.own ? bayes(pts, SHARES[state.model]) : null;
  state.milliseconds = performance.now() - began;
  plan();
}

// What takes longer than a frame: once, when all is still.  The answer by mirror images; then the error of each point
// when it is predicted from the others.
let later = 0;
function plan() {
  clearTimeout(later);
  state.settled = false;
  later = setTimeout(() => {
    const i = NAMES.indexOf(state.model), n = Math.min(points.length, capacity()), known = state.curve && drags.size === 0;
    if (known && n && engine.looks_twice(i) && !state.images) { ask({ length: n }, 1); draw(); }
    later = setTimeout(() => {
      state.rmse = known ? engine.check(i) * units.dy : NaN;
      state.settled = drags.size === 0;
      showCheck();
    }, 0);
  }, 200);
}

// ----- drawing ----------------------------------------------------------------------------------

const MARGIN = { left: 40, right: 10, top: 8, bottom: 36 };
const size = () => ({ w: stage.clientWidth, h: stage.clientHeight });
function viewToScreen(x, y) {
  const { w, h } = size(), u = (x - VIEW.x0) / (VIEW.x1 - VIEW.x0), v = (VIEW.y1 - y) / (VIEW.y1 - VIEW.y0);
  return [MARGIN.left + u * (w - MARGIN.left - MARGIN.right), MARGIN.top + v * (h - MARGIN.top - MARGIN.bottom)];
}
function toPlot(left, top) {
  const { w, h } = size();
  const u = (left - MARGIN.left) / (w - MARGIN.left - MARGIN.right), v = (top - MARGIN.top) / (h - MARGIN.top - MARGIN.bottom);
  return told({ x: VIEW.x0 + u * (VIEW.x1 - VIEW.x0), y: VIEW.y1 - v * (VIEW.y1 - VIEW.y0) });
}
function toScreen(x, y) { const p = seen({ x, y }); return viewToScreen(p.x, p.y); }
function inView(p) {
  const { x, y } = seen(p);
  return x >= VIEW.x0 && x <= VIEW.x1 && y >= VIEW.y0 && y <= VIEW.y1;
}

const CURVES = [                           // key, colour, dashes, width; drawn in this order
  { key: 'truth', colour: '--truth', dash: [2, 4], width: 2, label: () => 'function behind the points' },
  { key: 'squares', colour: '--squares', dash: [8, 5], width: 2,
    label: () => state.model === 'curves' ? 'least squares line' : 'least squares, y = ax' },
  { key: 'optimum', colour: '--optimum', dash: [10, 4, 2, 4], width: 2.5, label: () => 'optimum for its pretraining' },
  { key: 'curve', colour: '--model', dash: [], width: 3, label: () => 'the model' },
];
const fine = Array.from({ length: 1001 }, (_, i) => VIEW.x0 + (VIEW.x1 - VIEW.x0) * i / 1000);
const values = key => key === 'truth' ? truth && fine.map(truth) : state[key];

// A number of at most `digits` digits, without zeros at its end; a real minus.
function short(v, digits = 4) {
  const text = String(+v.toPrecision(digits));
  return text.replace('-', '\u2212');
}

// Round numbers from a to b, some five of them, and their texts.
function ticks(a, b) {
  const rough = (b - a) / 5, ten = 10 ** Math.floor(Math.log10(rough));
  const step = ten * [1, 2, 5, 10].find(m => m * ten >= rough * 0.99), all = [];
  for (let k = Math.ceil(a / step); k * step <= b; k++) all.push(k * step || 0);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), plain = decimals < 7 && Math.abs(a) + Math.abs(b) < 1e9;
  return all.map(v => ({ v, label: plain ? v.toFixed(decimals).replace('-', '\u2212') : short(v, 12) }));
}

// Grid, numbers and names, in the user's units.
function axes(g, colour) {
  const from = told({ x: VIEW.x0, y: VIEW.y0 }), to = told({ x: VIEW.x1, y: VIEW.y1 });
  const xs = ticks(from.x, to.x), ys = ticks(from.y, to.y), h = size().h;
  g.font = '12px system-ui, sans-serif';
  g.lineWidth = 1;
  MARGIN.left = Math.max(40, 26 + Math.max(...ys.map(t => g.measureText(t.label).width)));
  const [left, top] = viewToScreen(VIEW.x0, VIEW.y1), [right, bottom] = viewToScreen(VIEW.x1, VIEW.y0);
  const line = (zero, x0, y0, x1, y1) => {
    g.strokeStyle = colour(zero ? '--line' : '--grid');
    g.beginPath(); g.moveTo(x0, y0); g.lineTo(x1, y1); g.stroke();
  };
  g.fillStyle = colour('--soft');
  g.textAlign = 'center'; g.textBaseline = 'top';
  for (const { v, label } of xs) {
    const [at] = toScreen(v, units.y);
    line(v === 0, at, top, at, bottom);
    g.fillText(label, at, bottom + 4);
  }
  g.textAlign = 'right'; g.textBaseline = 'middle';
  for (const { v, label } of ys) {
    const [, at] = toScreen(units.x, v);
    line(v === 0, left, at, right, at);
    g.fillText(label, left - 6, at);
  }
  g.textAlign = 'center'; g.textBaseline = 'bottom'; g.fillText(units.names[0], (left + right) / 2, h);
  g.save(); g.translate(0, (top + bottom) / 2); g.rotate(-Math.PI / 2); g.textBaseline = 'top'; g.fillText(units.names[1], 0, 2);
  g.restore();
}

// The interval that should hold 90 % of new points.
function drawBand(g, colour) {
  if (!state.low) return;
  const at = (y, i) => viewToScreen(queries[i], Math.max(-99, Math.min(99, y)));
  g.globalAlpha = 0.2;
  g.fillStyle = colour('--model');
  g.beginPath();
  state.high.forEach((y, i) => g.lineTo(...at(y, i)));
  for (let i = QUERIES - 1; i >= 0; i--) g.lineTo(...at(state.low[i], i));
  g.fill();
  g.globalAlpha = 1;
}

function draw() {
  const { w, h } = size(), scale = window.devicePixelRatio || 1, g = canvas.getContext('2d');
  const style = getComputedStyle(document.documentElement), colour = name => style.getPropertyValue(name);
  if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) {
    canvas.width = Math.round(w * scale);
    canvas.height = Math.round(h * scale);
  }
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, w, h);
  axes(g, colour);
  const [left, top] = viewToScreen(VIEW.x0, VIEW.y1), [right, bottom] = viewToScreen(VIEW.x1, VIEW.y0);
  g.save();
  g.beginPath(); g.rect(left, top, right - left, bottom - top); g.clip();
  drawBand(g, colour);
  for (const { key, colour: name, dash, width } of CURVES) {
    const ys = values(key);
    if (!ys) continue;
    g.strokeStyle = colour(name); g.lineWidth = width; g.setLineDash(dash); g.lineJoin = 'round';
    g.beginPath();
    const xs = key === 'truth' ? fine : queries;
    ys.forEach((y, i) => g.lineTo(...viewToScreen(xs[i], Math.max(-99, Math.min(99, y)))));
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
    p.button.setAttribute('aria-label', `Point ${i + 1} of ${points.length}: ${units.names[0]} ${short(p.x)}, ${units.names[1]} ${short(p.y)}`);
  });
}

function showLegend() {
  const items = CURVES.filter(c => values(c.key)).reverse().map(c => `<li><svg viewBox="0 0 26 10" aria-hidden="true">
    <path d="M0 5H26" fill="none" stroke="var(${c.colour})" stroke-width="${c.width}" stroke-dasharray="${c.dash}"/></svg>${c.label()}</li>`);
  if (state.low) items.splice(1, 0, `<li><svg viewBox="0 0 26 10" aria-hidden="true">
    <path d="M0 0H26V10H0Z" fill="var(--model)" fill-opacity=".25"/></svg>should hold 90 % of new points</li>`);
  if (element('legend').innerHTML !== items.join('')) element('legend').innerHTML = items.join('');
}

// What the figure means, and no more: it compares errors, and proves nothing about the curve.
function showSurprise() {
  const n = Math.min(points.length, capacity()), s = state.surprise, known = Number.isFinite(s) && n >= 4;
  const say = !n ? 'No points: there is nothing to judge yet.'
    : n < 4 ? 'Too few points to judge.'
    : !known ? 'This model does not say what is typical for it.'
    : s > 1 ? 'Odd: the model predicts each point from those before it, and in its training fewer than 1 prompt in 100 went this badly. Do not trust the curve.'
    : s > 0.6 ? 'Unusual: the model predicts each point from those before it, and in its training most prompts went better. Be careful.'
    : 'The model predicts each point from those before it, and this went no worse than in its training. That does not prove the curve right.';
  element('figure').textContent = known ? s.toFixed(2).replace('-', '\u2212') : '';
  element('gauge').setAttribute('aria-valuenow', known ? s.toFixed(2) : 0);
  element('gauge').setAttribute('aria-valuetext', say);
  element('needle').style.left = Math.max(0, Math.min(100, (s + 1) / 3 * 100)) + '%';
  element('needle').hidden = !known;
  if (element('verdict').textContent !== say) element('verdict').textContent = say;
}

// The honest error: of each point, predicted from the others, beside the spread of y.
function showCheck() {
  const n = Math.min(points.length, capacity()), ys = points.slice(0, n).map(p => p.y);
  const mean = ys.reduce((s, y) => s + y, 0) / n, sd = Math.sqrt(ys.reduce((s, y) => s + (y - mean) ** 2, 0) / n);
  const part = sd > 0 ? `, ${Math.round(100 * state.rmse / sd)} % of the standard deviation of y` : '';
  const say = n < 2 ? '' : !state.settled ? '\u2026' : Number.isFinite(state.rmse) ? short(state.rmse, 2) + part : 'Not known.';
  if (element('check').textContent !== say) element('check').textContent = say;
}

function showNotice() {
  const extra = points.length - capacity();
  const say = said + (extra > 0 ? `This model takes ${capacity()} points: the last ${extra} (hollow) are left out. ` : '')
    + (units.own && state.model === 'both' ? 'To this model the plot is 5 wide and 5 high, with 0 in the middle. ' : '')
    + (state.curve ? '' : 'The model has no answer: a number is too large.');
  if (element('notice').textContent !== say) element('notice').textContent = say;
  if (element('about').dataset.model !== state.model) element('about').innerHTML = ABOUT[element('about').dataset.model = state.model];
}

// Everything is computed and drawn once a frame, and only when something has changed.
let asked = false;
function change() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    compute(); draw(); placePoints(); showLegend(); showSurprise(); showCheck(); showNotice();
  });
}

// ----- points -----------------------------------------------------------------------------------

function makePoint(x, y) {
  const button = document.createElement('button'), p = { x, y, button };
  button.className = 'point';
  button.type = 'button';
  button.addEventListener('focus', () => { selected = p; });
  stage.append(button);
  points.push(p);
  return p;
}

function addPoint(x, y) {
  if (points.length >= capacity()) { element('notice').textContent = `This model takes ${capacity()} points.`; return null; }
  const p = makePoint(x, y);
  edited();
  return p;
}

// Replaces all points; f is the function behind them, or null.
function setPoints(list, f, newUnits) {
  for (const p of points) p.button.remove();
  points = [];
  selected = null;
  units = newUnits;
  for (const p of list) makePoint(p.x, p.y);
  truth = f;
  said = '';
  change();
}

function movePoint(p, x, y) {
  const least = told({ x: VIEW.x0, y: VIEW.y0 }), most = told({ x: VIEW.x1, y: VIEW.y1 });
  p.x = Math.max(least.x, Math.min(most.x, x));
  p.y = Math.max(least.y, Math.min(most.y, y));
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
  said = '';
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
  const xs = [VIEW.x0 + 0.5, ...points.map(p => seen(p).x).sort((a, b) => a - b), VIEW.x1 - 0.5];
  let at = 0;
  for (let i = 0; i + 1 < xs.length; i++) if (xs[i + 1] - xs[i] > xs[at + 1] - xs[at]) at = i;
  return (xs[at] + xs[at + 1]) / 2;
}
function addByKey() { const { x, y } = told({ x: gap(), y: 0 }), p = addPoint(x, y); if (p) p.button.focus({ preventScroll: true }); }

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
  if (!state.settled) plan();
  if (drag.point && (left < 0 || top < 0 || left > w || top > h)) removePoint(drag.point);
  else if (!drag.point && !drag.moved && inView(p)) {
    const added = addPoint(p.x, p.y);
    if (added) { added.button.focus({ preventScroll: true }); added.born = event.timeStamp; }
  }
});
stage.addEventListener('pointercancel', event => { drags.delete(event.pointerId); plan(); });
stage.addEventListener('dblclick', event => {
  const { left, top } = where(event), point = nearest(left, top, 20);
  if (point && !(event.timeStamp - point.born < 600)) removePoint(point);   // not the one that its clicks made
});

document.addEventListener('keydown', event => {
  const point = points.find(p => p.button === document.activeElement), far = event.shiftKey ? 0.25 : 0.05;
  const moves = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (point && moves[event.key]) movePoint(point, point.x + units.dx * moves[event.key][0], point.y + units.dy * moves[event.key][1]);
  else if (point && (event.key === 'Delete' || event.key === 'Backspace')) removePoint(point);
  else if (event.key.toLowerCase() === 'n' && !['SELECT', 'TEXTAREA'].includes(event.target.tagName)) addByKey();
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

// A function: smooth for curves, from the pretraining mixture for lines and cosines.
function drawFunction() {
  const uniform = Math.random, normal = normals(Math.floor(uniform() * 4294967296)), a = normal(), b = normal();
  if (state.model === 'curves') {          // a sum of waves at random, as smooth as a Gaussian process of this length
    const length = 0.5 + 1.5 * uniform(), waves = Array.from({ length: 24 }, () => [normal() / length, 2 * Math.PI * uniform()]);
    return x => waves.reduce((s, [w, phase]) => s + Math.cos(w * x + phase), 0) / Math.sqrt(12);
  }
  let frequency = 0;
  for (let i = 0; i < 6; i++) frequency -= Math.log(1 - uniform()) / 6;         // Gamma(6, 1/6)
  return uniform() < 0.5 ? x => a * x : x => b * wave(frequency)(x);
}

const PRESETS = {
  smooth: () => x => 1.3 * Math.sin(1.7 * x + 0.4) + 0.35 * x,
  line: () => x => 0.8 * x,
  cosine: () => wave(1),
  combination: () => { const alpha = +element('alpha').value; return x => alpha * x + (1 - alpha) * wave(1)(x); },
  frequency: () => wave(+element('frequency').value),
  random: drawFunction,
};

// Twelve noisy points, x uniform, or sixteen exact ones, x ~ N(0, 1); always the same but for random ones.
function sample(name, f) {
  const noisy = name === 'smooth' || (name === 'random' && state.model === 'curves'), list = [];
  const normal = normals(name === 'random' ? Math.floor(Math.random() * 4294967296) : noisy ? 6 : 9), n = noisy ? 12 : 16;
  for (let tries = 0; list.length < n && tries < 999; tries++) {
    const x = noisy ? 4.5 * (list.length * 0.618034 % 1 - 0.5) + 0.08 * normal() : normal();
    const p = { x, y: f(x) + (noisy ? 0.22 * normal() : 0) };
    if (inView(p)) list.push(p);
  }
  return list;
}

function usePreset(name) {
  units = PLAIN;
  const f = PRESETS[name] ? PRESETS[name]() : null;
  setPoints(f ? sample(name, f) : [], f, PLAIN);
  showPreset(f ? name : '');
}

function showPreset(name) {
  if (preset === name) return;
  preset = name;
  for (const b of element('presets').children) b.setAttribute('aria-pressed', b.dataset.preset === name);
  for (const label of document.querySelectorAll('label[data-for]')) label.hidden = label.dataset.for !== name;
}

// ----- the user's own data ----------------------------------------------------------------------

// {names, rows: [[x, y], ..], wide} of CSV text: columns by tab, semicolon, comma or blanks; a header, empty lines and lines
// that start with # are fine; rows without a y are left out.  Throws an Error that names the line.
function readCsv(text) {
  const lines = text.replace(/^\ufeff/, '').split(/\r\n?|\n/), out = { names: ['x', 'y'], rows: [] };
  const head = (lines.find(l => l.trim() && !l.startsWith('#')) || '').trim(), separator = ['\t', ';', ',', ' '].find(c => head.includes(c));
  const number = t => t === '' ? NaN : Number(separator === ',' ? t : t.replace(',', '.'));
  let first = true;
  if (!separator) throw new Error('The data need two columns, x and y, with a comma, semicolon, tab or blank between them.');
  lines.forEach((line, i) => {
    if (!line.trim() || line.startsWith('#')) return;
    const fields = (separator === ' ' ? line.trim().split(/\s+/) : line.split(separator)).map(t => t.trim().replace(/^"(.*)"$/, '$1')), [x, y] = fields.map(number);
    if (first && fields.slice(0, 2).every(t => Number.isNaN(number(t)))) out.names = [fields[0] || 'x', fields[1] || 'y'];
    else if (fields[1] === '' || fields[1] === '?' || fields.length < 2) { /* it asks */ }
    else if (Number.isFinite(x) && Number.isFinite(y)) { out.rows.push([x, y]); out.wide = out.wide || fields.length > 2; }
    else throw new Error(`Line ${i + 1}: ${line.slice(0, 40)} does not have numbers in its first two columns.`);
    first = false;
  });
  if (!out.rows.length) throw new Error('No row has an x and a y.');
  return out;
}

// Puts least and most of the values at -2 and 2 of the view: [middle, one].
function fit(values) {
  const least = Math.min(...values), most = Math.max(...values), one = (most / 2 - least / 2) / 2;
  return [least / 2 + most / 2, one > 0 ? one : 1];
}

function useText(text) {
  try {
    const { names, rows, wide } = readCsv(text), n = rows.length;
    const used = n <= POINTS ? rows : Array.from({ length: POINTS }, (_, i) => rows[Math.round(i * (n - 1) / (POINTS - 1))]);
    const [x, dx] = fit(used.map(r => r[0])), [y, dy] = fit(used.map(r => r[1]));
    element('model').value = state.model = 'curves';
    setPoints(used.map(([a, b]) => ({ x: a, y: b })), null, { own: true, names, x, y, dx, dy });
    said = (n > POINTS ? `${n} rows: ${POINTS} of them, spread evenly, are used here. ` : '')
      + (wide ? 'x and y are the first two columns; the others are not used. ' : '');
    showPreset('');
  } catch (error) {
    said = error.message + ' ';
    change();
  }
}

document.addEventListener('paste', event => {
  event.preventDefault();
  useText(event.clipboardData.getData('text/plain'));
});
document.addEventListener('dragover', event => event.preventDefault());
document.addEventListener('drop', async event => {
  event.preventDefault();
  const file = event.dataTransfer.files[0];
  useText(file ? await file.text() : event.dataTransfer.getData('text/plain'));
});
element('own').addEventListener('change', event => { if (event.target.value.trim()) useText(event.target.value); });
element('open').addEventListener('click', () => element('file').click());
element('file').addEventListener('change', async event => {
  if (event.target.files[0]) useText(await event.target.files[0].text());
  event.target.value = '';
});

// Saves rows of numbers under names, as a CSV file.
function save(name, names, rows) {
  const quoted = names.map(t => /[",]/.test(t) ? `"${t.replace(/"/g, '""')}"` : t), link = document.createElement('a');
  link.download = name;
  link.href = 'data:text/csv;charset=utf-8,' + encodeURIComponent([quoted, ...rows].map(r => r.join(',') + '\n').join(''));
  link.click();
}
element('save-points').addEventListener('click', () => save('points.csv', units.names, points.map(p => [p.x, p.y])));
element('save-curve').addEventListener('click', () => {
  if (!state.curve) return;
  const y = v => +(units.y + units.dy * v).toPrecision(9), band = state.low ? ['lo', 'hi'] : [];
  save('curve.csv', [...units.names, ...band], state.curve.map((v, i) =>
    [+told({ x: queries[i], y: 0 }).x.toPrecision(9), y(v), ...(state.low ? [y(state.low[i]), y(state.high[i])] : [])]));
});

// ----- buttons ----------------------------------------------------------------------------------

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
element('model').addEventListener('change', event => {
  state.model = event.target.value;
  if (state.model === 'both' && preset === 'smooth') usePreset('combination');
  change();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', change);

start().then(() => {
  new ResizeObserver(change).observe(stage);
  usePreset('smooth');
  window.page = { state, queries, get units() { return units; },                       // for tests
    get points() { return points.map(({ x, y }) => ({ x, y })); } };
}).catch(error => {
  element('notice').textContent = 'The page does not run here (it needs WebAssembly with SIMD, and DecompressionStream): '
    + error.message;
});
