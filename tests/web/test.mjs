// build/icl.html in headless Chromium: node tests/web/test.mjs PLAYWRIGHT CHROMIUM
// Closing line "web: N passed, N failed, N skipped"; screenshots go to build/web.
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
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

async function open({ from = url, ...options }) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, ...options });
  page = await context.newPage();
  page.on('console', m => { if (['error', 'warning'].includes(m.type())) complaints.push(m.text()); });
  page.on('pageerror', e => complaints.push(String(e)));
  page.on('request', r => { if (r.url() !== from) complaints.push('request: ' + r.url()); });
  await page.goto(from);
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
    const { model, curve, low, high, squares, optimum, surprise, isa, images } = window.page.state;
    return { model, curve, low, high, squares, optimum, surprise, isa, images, units: window.page.units, points: window.page.points, xs: Array.from(window.page.queries) };
  });
}

// What build/icl predict answers, and the surprise, on the same file and the same points; all in the user's units.
// With mirror images where the page has them by now.
function native(now, file = `build/web/${now.model}.safetensors`) {
  const curves = now.model === 'curves', rows = now.points.slice(0, curves ? 64 : 16).map(p => `${p.x},${p.y}`);
  const asked = now.xs.map(x => `${now.units.x + now.units.dx * x},?`);
  const how = curves ? now.images ? [] : ['--no-mirror'] : ['--raw', '--no-refine', '--no-mirror'];
  const r = spawnSync('build/icl', ['predict', file, '--interval', '0.9', '--surprise', '--digits', '9', ...how], { input: [...rows, ...asked].join('\n') + '\n' });
  check(r.status === 0, 'icl predict: ' + r.stderr);
  const out = r.stdout.toString().trim().split('\n').map(line => line.split(',').map(field => field ? Number(field) : NaN));
  check(out.length === now.xs.length, `${out.length} answers of icl predict`);
  const column = i => out.map(row => row[i]);
  return { ys: column(1), low: column(2), high: column(3), surprise: out[0][4] };
}

const distance = (a, b) => Math.max(...a.map((v, i) => Math.abs(v - b[i])));

// Curve and band on the page are the native engine's, at all of its 201 x, within a thousandth of the range of y.
async function same() {
  const now = await look();
  check(now.curve && now.curve.length === 201 && now.curve.every(Number.isFinite), 'no curve');
  check(now.points.length > 0, 'no points');
  const expected = native(now), ys = now.points.map(p => p.y), range = Math.max(...ys) - Math.min(...ys) || now.units.dy;
  for (const [what, mine, theirs] of [['curve', now.curve, expected.ys], ['low', now.low, expected.low], ['high', now.high, expected.high]]) {
    check(!mine === !theirs, `${now.model}: ${what} on one side only`);
    if (!mine) continue;
    const off = distance(mine.map(v => now.units.y + now.units.dy * v), theirs) / range;
    check(off <= 1e-3, `${now.model}: ${what} is off by ${off} of the range of y`);
    largest = Math.max(largest, off);
  }
  const surprise = now.surprise ?? NaN;      // NaN where all y are the same
  check(Object.is(surprise, expected.surprise) || Math.abs(surprise - expected.surprise) <= 1e-3, `surprise ${now.surprise}, native ${expected.surprise}`);
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

await test('one file of 1.5 MB, with vectors', mouse, async () => {
  check(statSync('build/icl.html').size <= 1.5e6, 'the file is too large');
  check((await look()).isa === 'wasm128', 'the kernels are ' + (await look()).isa);
});

// How far the curve is from y = f(x) where the points are, root mean square.
function miss(now, f) {
  const xs = now.points.map(p => p.x), a = Math.min(...xs), b = Math.max(...xs), inside = now.xs.map((x, i) => [x, now.curve[i]]).filter(([x]) => x >= a && x <= b);
  return Math.sqrt(inside.reduce((s, [x, y]) => s + (y - f(x)) ** 2, 0) / inside.length);
}
const smooth = x => 1.3 * Math.sin(1.7 * x + 0.4) + 0.35 * x;
const still = () => page.waitForFunction(() => window.page.state.settled, null, { timeout: 20000 });

await test('it opens on a success', mouse, async () => {
  const now = await same(), xs = now.points.map(p => p.x);
  check(now.model === 'curves' && now.points.length === 12, `${now.model}, ${now.points.length} points`);
  check(xs.some((x, i) => i && x < xs[i - 1]), 'the points come in order of x');
  check(miss(now, smooth) < 0.25, `the curve is off by ${miss(now, smooth)}`);
  const inside = now.xs.map((x, i) => [x, i]).filter(([x]) => x > Math.min(...xs) && x < Math.max(...xs));
  const held = inside.filter(([x, i]) => smooth(x) >= now.low[i] && smooth(x) <= now.high[i]).length / inside.length;
  check(held > 0.85, `the band holds ${held} of the function`);
  check((await page.textContent('#verdict')).length > 20 && (await page.textContent('#legend')).includes('90 %'), 'no verdict');
  await still();
  check((await same()).images, 'no mirror images when all is still');
  check(/^0\.\d+, \d+ % of the standard deviation of y$/.test(await page.textContent('#check')), await page.textContent('#check'));
  const error = await page.evaluate(() => window.page.state.rmse);
  check(error > 0.02 && error < 0.8, `leave-one-out error ${error}`);
});

const host = createServer((request, answer) => {
  answer.writeHead(request.url === '/icl.html' ? 200 : 404, { 'Content-Type': 'text/html' });
  answer.end(request.url === '/icl.html' ? readFileSync('docs/icl.html') : '');
});
await new Promise(done => host.listen(0, '127.0.0.1', done));
await test('the committed copy, from a static host', { ...mouse, from: `http://127.0.0.1:${host.address().port}/icl.html` },
  async () => { check((await same()).points.length === 12, 'not 12 points'); });
host.close();

await test('the band is drawn', mouse, async () => {
  const now = await look(), places = [];
  for (let i = 20; i < 180; i += 4) places.push([now.xs[i], 0.35 * now.curve[i] + 0.65 * now.high[i]]);
  const tinted = await page.evaluate(all => {
    const c = document.querySelector('canvas'), w = c.width, h = c.height, left = 40, right = 10, top = 8, bottom = 36;
    const data = c.getContext('2d').getImageData(0, 0, w, h).data;
    return all.filter(([x, y]) => {
      const u = Math.round(left + (x + 2.5) / 5 * (w - left - right)), v = Math.round(top + (2.5 - y) / 5 * (h - top - bottom));
      const [r, , b, a] = data.slice(4 * (v * w + u));
      return a > 20 && b > r + 40;
    }).length;
  }, places);
  check(tinted > 20, `${tinted} of 40 places are tinted`);
});

for (const model of ['curves', 'both'])
  await test(`presets, ${model}`, mouse, async () => {
    await page.selectOption('#model', model);
    if (model === 'both') check(await page.getAttribute('[data-preset=combination]', 'aria-pressed') === 'true', 'both opens on a combination');
    for (const name of ['smooth', 'line', 'cosine', 'combination', 'frequency', 'random', 'random']) {
      await preset(name);
      const now = await same();
      check(now.model === model && now.points.length >= 12, `${name}: ${now.points.length} points`);
      check(await page.getAttribute(`[data-preset=${name}]`, 'aria-pressed') === 'true', `${name} is not marked`);
      if (name === 'line') check(now.points.every(p => Math.abs(p.y - 0.8 * p.x) < 1e-6), 'not a line');
      if (name === 'cosine') check(now.points.every(p => Math.abs(p.y - Math.cos(2 * Math.PI * p.x)) < 1e-5), 'not a cosine');
    }
    await preset('clear');
    const now = await look();
    check(now.points.length === 0 && now.curve.every(Number.isFinite) && Number.isNaN(now.surprise ?? NaN), 'not cleared');
  });

await test('both learns lines and cosines, and no combination, nor does its band', mouse, async () => {
  await page.selectOption('#model', 'both');
  await preset('line');
  const line = miss(await look(), x => 0.8 * x);
  await preset('combination');
  const f = x => 0.5 * x + 0.5 * Math.cos(2 * Math.PI * x), now = await look(), sum = miss(now, f);
  check(line < 0.1 && sum > 3 * line, `off by ${line} for a line, ${sum} for a combination`);
  const held = now.xs.filter((x, i) => f(x) >= now.low[i] && f(x) <= now.high[i]).length / now.xs.length;
  check(held < 0.8, `the band holds ${held} of a combination`);
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
  await (await drag(3, 40, 50))();
  check(!await page.isVisible('#frequency'), 'a slider claims points that were moved');
  check(await page.locator('[aria-pressed=true]').count() === 0, 'a preset claims points that were moved');
});

await test('the optimum', mouse, async () => {
  for (const [model, shares] of [['both', [0.5, 0.5]]]) {
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
  for (let i = 0; i < 30; i++) await page.keyboard.press('n');
  for (let i = 0; i < 30; i++) await page.click('#add');
  check((await same()).points.length === 64, 'curves takes 64');
  await still();
  check(/^0\.\d+, \d+ %/.test(await page.textContent('#check')), 'no error of 64 points: ' + await page.textContent('#check'));
  await page.selectOption('#model', 'both');
  await same();
  check(await page.locator('.point.left-out').count() === 48, 'what does not fit is hollow');
  check((await page.textContent('#notice')).includes('48 (hollow)'), 'and said');
});

await test('points in ascending order', mouse, async () => {
  await page.evaluate(() => { document.querySelector('#stage').scrollIntoView(); });
  const box = await page.locator('#stage').boundingBox();
  await preset('clear');
  for (let i = 0; i < 24; i++) {
    const x = -2.2 + 4.4 * i / 23, u = 40 + (x + 2.5) / 5 * (box.width - 50), v = 8 + (2.5 - smooth(x)) / 5 * (box.height - 44);
    await page.mouse.click(box.x + u, box.y + v);
    if (i % 6 === 5) await page.waitForTimeout(50);
  }
  const now = await same();
  check(now.points.length === 24 && now.points.every((p, i) => !i || p.x > now.points[i - 1].x), 'not 24 in order');
  check(miss(now, smooth) < 0.25, `the curve is off by ${miss(now, smooth)}`);
});

// Forty rows in units of their own, in no order.
const rows = Array.from({ length: 40 }, (_, i) => { const t = (i * 17) % 40; return [100000 + 250 * t, 0.002 + 0.0004 * Math.sin(t / 6)]; });
const csv = '# from a probe\ntime;heat\n' + rows.map(r => r.join(';')).join('\n') + '\n';

async function ownData() {
  const now = await same();
  check(now.points.length === 40 && now.points.every((p, i) => p.x === rows[i][0] && p.y === rows[i][1]), 'not the same points');
  check(now.units.names.join() === 'time,heat' && now.model === 'curves', 'names ' + now.units.names);
  const off = Math.max(...now.xs.map((x, i) => [now.units.x + now.units.dx * x, now.units.y + now.units.dy * now.curve[i]])
    .filter(([x]) => x >= 100000 && x <= 109750).map(([x, y]) => Math.abs(y - 0.002 - 0.0004 * Math.sin((x - 100000) / 1500))));
  check(off < 2e-4, `the curve is off by ${off}`);
  return now;
}
const pasteText = text => page.evaluate(t => {
  const data = new DataTransfer();
  data.setData('text/plain', t);
  document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
}, text);
const saved = async id => {
  const [file] = await Promise.all([page.waitForEvent('download'), page.click(id)]);
  return readFileSync(await file.path(), 'utf8').trim().split('\n');
};

await test('paste and save', { ...mouse, acceptDownloads: true }, async () => {
  await pasteText(csv);
  await ownData();
  await still();
  const now = await look();
  check((await page.getAttribute('.point >> nth=0', 'aria-label')).includes('time 1'), 'the label is not in these units');
  await page.screenshot({ path: 'build/web/own.png' });
  const points = await saved('#save-points'), curve = await saved('#save-curve');
  check(points[0] === 'time,heat' && points.length === 41 && points[1] === rows[0].join(), 'points: ' + points.slice(0, 2));
  check(curve[0] === 'time,heat,lo,hi' && curve.length === 202, 'curve: ' + curve[0]);
  const expected = native(now);
  curve.slice(1).forEach((line, i) => {
    const [, y, low, high] = line.split(',').map(Number);
    check(Math.max(Math.abs(y - expected.ys[i]), Math.abs(low - expected.low[i]), Math.abs(high - expected.high[i])) < 1e-6, 'curve: ' + line);
  });
  await pasteText('1 2 9\n2  4 9\n4 7 9\n');
  check((await same()).points.length === 3 && (await page.textContent('#notice')).includes('first two columns'), 'blanks between, and a third column');
  await pasteText(csv);
  await same();
  await pasteText('1,2\n3,x\n');
  await settle();
  check((await page.textContent('#notice')).startsWith('Line 2'), 'no word of a bad line');
  check((await look()).points.length === 40, 'a bad line changes nothing');
  await pasteText(Array.from({ length: 500 }, (_, i) => `${i}\t${Math.sqrt(i)}`).join('\n'));
  const many = await same();
  check(many.points.length === 64 && many.points[63].x === 499, 'not 64 of 500 rows');
  check((await page.textContent('#notice')).includes('500 rows'), 'and said');
  await pasteText('1,5\n2,5\n');
  await same();
  await still();
  check(await page.textContent('#check') === '0', 'error of y that are all the same: ' + await page.textContent('#check'));
});

await test('drop, and the text field', mouse, async () => {
  await page.evaluate(t => {
    const data = new DataTransfer();
    data.items.add(new File([t], 'data.csv', { type: 'text/csv' }));
    document.querySelector('#stage').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
  }, csv);
  await page.waitForFunction(() => window.page.points.length === 40);
  await ownData();
  await page.fill('#own', '1,2\n2,4\n3,6,9\n4,?\n');
  await page.locator('#own').blur();
  check((await same()).points.length === 3, 'three rows of the field');
  writeFileSync('build/web/own.csv', csv);
  await page.setInputFiles('#file', 'build/web/own.csv');
  await page.waitForFunction(() => window.page.points.length === 40);
  await ownData();
  await preset('line');
  check(!(await look()).units.own, 'a preset brings back its own units');
});

await test('the names of the models are not cut', mouse, async () => {
  const [text, room] = await page.evaluate(() => {
    const e = document.querySelector('#model'), g = document.createElement('canvas').getContext('2d');
    g.font = getComputedStyle(e).font;
    return [Math.max(...Array.from(e.options, o => g.measureText(o.text).width)), e.clientWidth - 48];
  });
  check(text < room, `${text} pixels in ${room}`);
});

await test('surprise', mouse, async () => {
  await page.selectOption('#model', 'both');
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
    await page.waitForTimeout(100);
    for (const name of ['smooth', 'line', 'both']) {
      if (name === 'both') { await page.selectOption('#model', 'both'); await preset('combination'); } else await preset(name);
      await settle();
      await still();
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
  console.log(`${model}: median of 120 frames: ${model === 'both' ? 16 : 12} points and 201 queries ${text(engine)}, all curves ${text(all)}`);
}
await page.selectOption('#model', 'curves');
const off = [];
for (const name of ['line', 'combination', 'frequency']) {
  await preset(name);
  const now = await look(), rms = (a, b) => Math.sqrt(a.reduce((s, v, i) => s + (v - b[i]) ** 2, 0) / a.length);
  off.push(`${name} ${rms(now.curve, native(now, 'examples/models/curves.safetensors').ys).toFixed(4)}`);
}
console.log(`curves: root mean square difference from the model before its weights were rounded: ${off.join(', ')}`);
console.log(`largest difference from the native engine: ${largest.toExponential(1)} of the range of y`);
console.log(`web: ${passed} passed, ${failed} failed, 0 skipped`);
await browser.close();
process.exitCode = failed > 0 ? 1 : 0;
