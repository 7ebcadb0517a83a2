// build/icl.html in headless Chromium: node tests/web/test.mjs PLAYWRIGHT CHROMIUM
// Closing line "web: N passed, N failed, N skipped"; screenshots go to build/web.
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const { chromium } = createRequire(import.meta.url)(resolve(process.argv[2]));
const url = 'file://' + resolve('build/icl.html');
const browser = await chromium.launch({ executablePath: process.argv[3], args: ['--no-sandbox', '--disable-gpu'] });
let passed = 0, failed = 0, largest = 0, page = null;
const complaints = [];

// ----- tools ------------------------------------------------------------------------------------

function check(holds, what) {
  if (!holds) throw new Error(what);
}

async function open(options) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, ...options });
  page = await context.newPage();
  page.on('console', m => { if (['error', 'warning'].includes(m.type())) complaints.push(m.text()); });
  page.on('pageerror', e => complaints.push(String(e)));
  page.on('request', r => { if (r.url() !== url) complaints.push('request: ' + r.url()); });
  await page.goto(url);
  await page.waitForFunction(() => window.page && window.page.state.curve, null, { timeout: 15000 })
    .catch(async () => { throw new Error('it does not start: ' + await page.textContent('#notice')); });
}

async function test(name, options, body) {
  const before = complaints.length;
  try {
    await open(options);
    await body();
    check(complaints.length === before, complaints.slice(before).join('; '));
    passed++;
  } catch (e) {
    failed++;
    console.log(`FAILED   ${name}: ${e.message}`);
  }
  await page.context().close();
}

// Two frames on, all is drawn.
const settle = () => page.evaluate(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))));

async function look() {
  await settle();
  return page.evaluate(() => {
    const { model, curve, squares, optimum, surprise, isa } = window.page.state;
    return { model, curve, squares, optimum, surprise, isa, points: window.page.points, xs: Array.from(window.page.queries) };
  });
}

// What build/icl predict answers, and the surprise, on the same file.
function native(now, file = `build/web/${now.model}.safetensors`) {
  const capacity = now.model === 'curves' ? 32 : 16, rows = now.points.slice(0, capacity).map(p => `${p.x},${p.y}`);
  const asked = now.xs.map(x => `${x},?`);
  const r = spawnSync('build/icl', ['predict', file, '--surprise', '--raw', '--keep-order', '--digits', '9'], { input: [...rows, ...asked].join('\n') + '\n' });
  check(r.status === 0, 'icl predict: ' + r.stderr);
  const out = r.stdout.toString().trim().split('\n').map(line => line.split(',').map(Number));
  check(out.length === now.xs.length, `${out.length} answers of icl predict`);
  return { ys: out.map(row => row[1]), surprise: out[0][2] };
}

const distance = (a, b) => Math.max(...a.map((v, i) => Math.abs(v - b[i])));

// The curve on the page is the native engine's, at all of its 201 x.
async function same() {
  const now = await look();
  check(now.curve && now.curve.length === 201 && now.curve.every(Number.isFinite), 'no curve');
  check(now.points.length > 0, 'no points');
  const expected = native(now), off = distance(now.curve, expected.ys);
  check(off <= 1e-4, `${now.model}: the curve is off by ${off}`);
  check(Math.abs(now.surprise - expected.surprise) <= 1e-3, `surprise ${now.surprise}, native ${expected.surprise}`);
  largest = Math.max(largest, off);
  return now;
}

// Screen position of a place in the plot: that of the point's button for a point.
const centre = async i => {
  const box = await page.locator('.point').nth(i).boundingBox();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
};
const preset = name => page.click(`[data-preset=${name}]`);
async function slide(id, value) {
  await page.locator('#' + id).evaluate((e, v) => { e.value = v; e.dispatchEvent(new Event('input', { bubbles: true })); }, value);
}
async function drag(i, dx, dy) {
  const from = await centre(i);
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move(from.x + dx / 2, from.y + dy / 2);
  await page.mouse.move(from.x + dx, from.y + dy);
  await settle();
  return async () => { await page.mouse.up(); };
}

// The mixture of b x and b cos(2 pi w x) by brute force on a grid of its own, at one x.
function optimum(points, x, shares) {
  let top = -Infinity;
  const terms = [];
  const add = (phi, at, prior) => {
    let pp = 1e-4, py = 0, yy = 0;
    for (const p of points) { const v = phi(p.x); pp += v * v; py += v * p.y; yy += p.y * p.y; }
    const log = -0.5 * ((yy - py * py / pp) / 1e-4 + Math.log(pp) - Math.log(1e-4)) + Math.log(prior);
    terms.push([log, py / pp * at]);
    top = Math.max(top, log);
  };
  if (shares[0]) add(v => v, x, shares[0]);
  for (let w = 0.00025; shares[1] && w < 5; w += 0.0005)
    add(v => Math.cos(2 * Math.PI * w * v), Math.cos(2 * Math.PI * w * x), shares[1] * 0.0005 * 6 ** 6 / 120 * w ** 5 * Math.exp(-6 * w));
  let sum = 0, total = 0;
  for (const [log, y] of terms) { sum += Math.exp(log - top) * y; total += Math.exp(log - top); }
  return sum / total;
}

// ----- the tests --------------------------------------------------------------------------------

const mouse = {}, phone = { viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

await test('one file below 1.5 MB, with vectors', mouse, async () => {
  check(statSync('build/icl.html').size < 1.5e6, 'the file is too large');
  check((await look()).isa === 'wasm128', 'the kernels are ' + (await look()).isa);
});

for (const model of ['both', 'line', 'sine', 'curves'])
  await test(`presets, ${model}`, mouse, async () => {
    await page.selectOption('#model', model);
    for (const name of ['line', 'cosine', 'combination', 'frequency', 'random', 'random']) {
      await preset(name);
      const now = await same();
      check(now.model === model && now.points.length === 16, `${name}: ${now.points.length} points`);
      check(await page.getAttribute(`[data-preset=${name}]`, 'aria-pressed') === 'true', `${name} is not marked`);
      if (name === 'line') check(now.points.every(p => Math.abs(p.y - 0.8 * p.x) < 1e-6), 'not a line');
      if (name === 'cosine') check(now.points.every(p => Math.abs(p.y - Math.cos(2 * Math.PI * p.x)) < 1e-5), 'not a cosine');
    }
    await preset('clear');
    const now = await look();
    check(now.points.length === 0 && now.curve.every(Number.isFinite) && Number.isNaN(now.surprise ?? NaN), 'not cleared');
  });

await test('sliders', mouse, async () => {
  for (const alpha of [0, 0.1, 0.7, 1]) {
    await preset('combination');
    await slide('alpha', alpha);
    const now = await same();
    check(now.points.every(p => Math.abs(p.y - alpha * p.x - (1 - alpha) * Math.cos(2 * Math.PI * p.x)) < 1e-5), `alpha ${alpha}`);
  }
  for (const w of [0.01, 0.1, 0.5, 5]) {
    await preset('frequency');
    await slide('frequency', w);
    const now = await same();
    check(now.points.every(p => Math.abs(p.y - Math.cos(2 * Math.PI * w * p.x)) < 1e-5), `frequency ${w}`);
  }
  check(await page.isVisible('#frequency') && !await page.isVisible('#alpha'), 'the wrong slider shows');
});

await test('the optimum', mouse, async () => {
  for (const [model, shares] of [['line', [1, 0]], ['sine', [0, 1]], ['both', [0.5, 0.5]]]) {
    await page.selectOption('#model', model);
    for (const name of ['line', 'cosine', 'combination', 'clear']) {
      await preset(name);
      if (name === 'clear') for (let i = 0; i < 2; i++) await page.keyboard.press('n');
      const now = await look();
      for (let i = 0; i < now.xs.length; i += 20)
        check(Math.abs(now.optimum[i] - optimum(now.points, now.xs[i], shares)) < 0.02,
          `${model} ${name} at ${now.xs[i]}: ${now.optimum[i]}, not ${optimum(now.points, now.xs[i], shares)}`);
    }
  }
  await page.selectOption('#model', 'curves');
  check((await look()).optimum === null, 'curves have no exact optimum');
});

await test('least squares', mouse, async () => {
  await preset('line');
  let now = await look();
  check(distance(now.squares, now.xs.map(x => 0.8 * x)) < 1e-4, 'not the line');
  await page.selectOption('#model', 'curves');
  await preset('clear');
  for (let i = 0; i < 2; i++) await page.keyboard.press('n');
  await page.locator('.point').first().focus();
  await page.keyboard.press('ArrowUp');
  now = await look();
  check(now.points.length === 2, 'not two points');
  const [a, b] = now.points, slope = (b.y - a.y) / (b.x - a.x);
  check(slope !== 0 && distance(now.squares, now.xs.map(x => a.y + slope * (x - a.x))) < 1e-4, 'not through both');
});

await test('mouse', mouse, async () => {
  const before = await look();
  const release = await drag(3, 90, -120), during = await look();
  check(during.points[3].x > before.points[3].x + 0.2 && during.points[3].y > before.points[3].y + 0.5, 'it did not move');
  check(distance(before.curve, during.curve) > 1e-3, 'the curve does not follow');
  await release();
  await same();
  const box = await page.locator('#stage').boundingBox();
  await preset('clear');
  for (let i = 0; i < 6; i++) await page.mouse.click(box.x + 80 + 90 * i, box.y + 100 + 37 * (i * i % 7));
  check((await same()).points.length === 6, 'a click adds one point');
  await page.waitForTimeout(700);
  const at = await centre(2);
  await page.mouse.dblclick(at.x, at.y);
  check((await same()).points.length === 5, 'a double click removes one');
  const out = await drag(0, -2000, 0);
  await out();
  check((await same()).points.length === 4, 'one that is dragged out is removed');
  await page.mouse.dblclick(box.x + 400, box.y + 40);
  check((await same()).points.length === 5, 'a double click beside them adds one');
});

await test('keyboard', mouse, async () => {
  await preset('clear');
  for (let i = 0; i < 5; i++) await page.keyboard.press('n');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Shift+ArrowRight');
  let now = await same();
  check(now.points.length === 5 && Math.abs(now.points[4].y - 0.05) < 1e-6, 'up is 0.05');
  const label = () => page.evaluate(() => document.activeElement.getAttribute('aria-label'));
  check((await label()).startsWith('Point 5 of 5: x '), await label());
  await page.keyboard.press('Shift+Tab');
  check((await label()).startsWith('Point 4 of 5'), 'Tab goes from point to point');
  await page.keyboard.press('Delete');
  now = await same();
  check(now.points.length === 4, 'Delete removes');
  check((await label()).startsWith('Point 4 of 4'), 'the focus stays with the points');
  await page.click('#add');
  await page.click('#remove');
  await page.click('#remove');
  check((await same()).points.length === 3, 'the buttons add and remove');
});

await test('full', mouse, async () => {
  await page.selectOption('#model', 'curves');
  for (let i = 0; i < 20; i++) await page.keyboard.press('n');
  await page.locator('#stage').focus().catch(() => {});
  for (let i = 0; i < 20; i++) await page.click('#add');
  check((await same()).points.length === 32, 'curves takes 32');
  await page.selectOption('#model', 'both');
  await same();
  check(await page.locator('.point.left-out').count() === 16, 'what does not fit is hollow');
  check((await page.textContent('#notice')).includes('16 points'), 'and said');
});

await test('surprise', mouse, async () => {
  await preset('line');
  const known = await look(), calm = await page.textContent('#verdict');
  await slide('frequency', 5);
  const odd = await look();
  check(odd.surprise > known.surprise, `${known.surprise} for a line, ${odd.surprise} for frequency 5`);
  check(calm && await page.getAttribute('#gauge', 'aria-valuetext') === await page.textContent('#verdict'), 'the gauge says it too');
});

await test('touch', phone, async () => {
  const session = await page.context().newCDPSession(page);
  const touch = (type, at) => session.send('Input.dispatchTouchEvent', { type, touchPoints: at ? [at] : [] });
  await preset('line');
  await page.evaluate(() => scrollTo(0, 0));
  const before = await look(), from = await centre(5);
  await touch('touchStart', from);
  for (let i = 1; i <= 6; i++) await touch('touchMove', { x: from.x + 4 * i, y: from.y - 9 * i });
  await touch('touchEnd');
  const now = await same();
  check(Math.max(...now.points.map((p, i) => p.y - before.points[i].y)) > 0.3, 'it did not move');
  const box = await page.locator('#stage').boundingBox();
  await preset('clear');
  await page.evaluate(() => scrollTo(0, 0));
  await page.touchscreen.tap(box.x + 100, box.y + 60);
  await page.touchscreen.tap(box.x + 250, box.y + 160);
  check((await same()).points.length === 2, 'a tap adds one');
});

await test('a phone shows it all', phone, async () => {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check(wide <= 0, `${wide} pixels too wide`);
  await settle();
  await page.screenshot({ path: 'build/web/phone.png', fullPage: true });
});

for (const colorScheme of ['light', 'dark'])
  await test(colorScheme, { colorScheme }, async () => {
    const seen = {};
    for (const name of ['line', 'cosine', 'combination', 'frequency']) {
      await preset(name);
      if (name === 'frequency') await slide('frequency', 5);
      await settle();
      await page.screenshot({ path: `build/web/${colorScheme}-${name}.png` });
      seen[name] = await page.evaluate(() => document.querySelector('canvas').toDataURL().length);
    }
    const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    check((paper === 'rgb(255, 255, 255)') === (colorScheme === 'light'), 'the paper is ' + paper);
    check(Object.values(seen).every(n => n > 5000), 'nothing is drawn');
  });

// ----- figures, without a verdict -----------------------------------------------------------------

await open(mouse);
for (const model of ['both', 'curves']) {
  await page.selectOption('#model', model);
  const [engine, all] = await page.evaluate(async () => {
    const middle = a => (a.sort((x, y) => x - y), [a[0], a[a.length >> 1]]), engine = [], all = [], first = document.querySelector('.point');
    first.focus();
    for (let i = 0; i < 120; i++) {
      first.dispatchEvent(new KeyboardEvent('keydown', { key: i % 20 < 10 ? 'ArrowUp' : 'ArrowDown', bubbles: true }));
      await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
      engine.push(window.page.state.engineMilliseconds);
      all.push(window.page.state.milliseconds);
    }
    return [middle(engine), middle(all)];
  });
  const text = ([least, median]) => `${median.toFixed(1)} ms (least ${least.toFixed(1)})`;
  console.log(`${model}: median of 120 frames: 16 points and 201 queries ${text(engine)}, all curves ${text(all)}`);
}
await page.selectOption('#model', 'curves');
const off = [];
for (const name of ['line', 'combination', 'frequency']) {
  await preset(name);
  const now = await look(), rms = (a, b) => Math.sqrt(a.reduce((s, v, i) => s + (v - b[i]) ** 2, 0) / a.length);
  off.push(`${name} ${rms(now.curve, native(now, 'examples/models/curves.safetensors').ys).toFixed(4)}`);
}
console.log(`curves: root mean square difference from the model before its weights were rounded: ${off.join(', ')}`);
console.log(`largest difference from the native engine: ${largest.toExponential(1)}`);
console.log(`web: ${passed} passed, ${failed} failed, 0 skipped`);
await browser.close();
process.exitCode = failed > 0 ? 1 : 0;
