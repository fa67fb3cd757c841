// Tests of the page in a real browser, against a server of the whole catalogue and a static site opened from a disk.
//
//     node test/page.mjs CLADE      prints TAP; CHROMIUM names another browser, SHOTS a folder for pictures
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const program = process.argv[2] || '../build/clade';
const scratch = mkdtempSync(join(tmpdir(), 'clade-page-'));
const environment = { ...process.env, CLADE_DB: join(scratch, 'clade.db') };
const results = `INSERT INTO benchmark_run VALUES (1, 'u', '2026-01-01T00:00:00Z', '{"processor": "a processor"}', 2, 'single', '{}', '{}', 100, 10);
  ${['gpt', 'gla', 'mamba'].flatMap((key, i) => [256, 1024, 4096].map((length, j) => `INSERT INTO benchmark_result VALUES (1, '${key}', 'block', 'prefill', ${length}, 256, 1, '{}', 5, ${(0.001 * (i + 1)) * 4 ** j}, 1e-5, 1e9, 1e8, 1000, 0, 4096, 0.5);`)).join('\n')}`;
let server, browser, count = 0, failed = 0;

const same = (found, expected, what) => {
  if (found !== expected) throw new Error(`${what}: ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
};

const test = async (name, options, body) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage(), problems = [];
  page.setDefaultTimeout(15000);
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('request', (request) => /^https?:/.test(request.url()) && !request.url().startsWith(server.address) && problems.push(`asks ${request.url()}`));
  count++;
  try {
    await body(page);
    same(problems.join('; '), '', 'problems of the page');
    console.log(`ok ${count} - ${name}`);
  } catch (error) {
    failed++;
    console.log(`not ok ${count} - ${name}\n# ${String(error.message).split('\n').join('\n# ')}`);
  }
  if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${count}.png`) }).catch(() => {});
  await context.close();
};

const open = async (page, hash = '') => {
  await page.goto(`${server.address}${hash}`);
  await page.waitForSelector('body.ready');
};
const focusedKey = (page) => page.evaluate(() => document.activeElement.dataset.key);
const cardName = (page) => page.locator('#card:not([hidden]) h2').textContent();

const tests = async () => {
  await test('the tree, its families and its years', {}, async (page) => {
    await open(page);
    const listed = await page.evaluate(() => clade.data.variants.size);
    same(await page.locator('.canvas .node').count(), listed, 'nodes');
    if ((await page.locator('#families button').count()) < 10) throw new Error('few families');
    if ((await page.locator('.axis span:not(.none)').count()) < 5) throw new Error('few years');
  });
  await test('search by keyboard, card, parents and children', {}, async (page) => {
    await open(page);
    await page.keyboard.press('/');
    await page.keyboard.type('mamba2');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.hash === '#/mamba2');
    same(await cardName(page), 'Mamba-2', 'the card');
    const text = await page.locator('#card').textContent();
    for (const word of ['Line of descent', 'Slots', 'state-space-duality', 'Characters', 'Held against']) if (!text.includes(word)) throw new Error(`no ${word}`);
    await page.locator('#card .slots summary').first().click();
    if (!(await page.locator('#card .slots pre').first().isVisible())) throw new Error('no formula');
    await page.keyboard.press('Escape');
    await page.waitForSelector('#card', { state: 'hidden' });
    same(await focusedKey(page), 'mamba2', 'focus after closing');
  });
  await test('walking the tree by arrows', {}, async (page) => {
    await open(page, '#/gla');
    await page.keyboard.press('Escape');
    await page.waitForSelector('#card', { state: 'hidden' });
    await page.keyboard.press('ArrowLeft');
    same(await focusedKey(page), 'retnet', 'the parent');
    await page.keyboard.press('ArrowRight');
    const child = await focusedKey(page);
    same(await page.evaluate((key) => clade.data.trees.get('descent').parent.get(key), child), 'retnet', 'the child');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#card:not([hidden])');
    const scale = () => page.evaluate(() => clade.tree.view.k);
    const before = await scale();
    await page.keyboard.press('+');
    await page.waitForFunction((k) => clade.tree.view.k > k * 1.2, before);
  });
  await test('a click opens a card, a drag does not', {}, async (page) => {
    await open(page, '#/gla');
    await page.waitForFunction(() => clade.tree.selected === 'gla' && !clade.tree.goal);
    await page.locator('#node-retnet').click();
    await page.waitForFunction(() => location.hash === '#/retnet');
    await page.waitForFunction(() => clade.tree.selected === 'retnet' && !clade.tree.goal);
    const box = await page.locator('.canvas').boundingBox(), before = await page.evaluate(() => clade.tree.view.x);
    await page.mouse.move(box.x + 300, box.y + 500);
    await page.mouse.down();
    await page.mouse.move(box.x + 400, box.y + 450, { steps: 5 });
    await page.mouse.up();
    same(Math.round((await page.evaluate(() => clade.tree.view.x)) - before), 100, 'the way dragged');
    same(await page.evaluate(() => location.hash), '#/retnet', 'the address');
  });
  await test('families are hidden and shown', {}, async (page) => {
    await open(page);
    const button = page.locator('#families button[data-family="state-space"]');
    await button.click();
    if (!(await page.locator('#node-mamba.off').count())) throw new Error('still there');
    await button.click();
    same(await page.locator('#node-mamba.off').count(), 0, 'hidden nodes');
  });
  await test('trees by other methods', {}, async (page) => {
    await open(page);
    for (const method of ['citation', 'character']) {
      await page.selectOption('#method', method);
      await page.waitForFunction(() => !document.getElementById('tree').classList.contains('loading'));
      if ((await page.locator('.canvas .node').count()) < 100) throw new Error(`few nodes by ${method}`);
    }
  });
  await test('comparison with curves', {}, async (page) => {
    await open(page, '#/compare/gpt+gla+mamba');
    await page.waitForSelector('.comparison');
    same(await page.locator('.comparison thead th').count(), 3, 'columns');
    const rows = await page.locator('.comparison tbody tr').count();
    await page.locator('#compare input[type=checkbox]').check();
    if ((await page.locator('.comparison tbody tr').count()) >= rows) throw new Error('nothing was the same');
    same(await page.locator('#compare .curve').count(), 3, 'curves');
    await page.locator('.comparison thead button').first().click();
    await page.waitForFunction(() => location.hash === '#/compare/gla+mamba');
  });
  await test('the comparison takes six', {}, async (page) => {
    await open(page, '#/compare/gpt+gla+mamba+mamba2+retnet+s4+s5');
    await page.waitForSelector('.comparison');
    same(await page.locator('.comparison thead th').count(), 6, 'columns');
  });
  await test('growth', {}, async (page) => {
    await open(page, '#/growth');
    same(await page.locator('#growth .curve').count(), 3, 'curves');
    same(await page.locator('#growth tbody tr').count(), 3, 'rows');
  });
  await test('the outline by keyboard', {}, async (page) => {
    await open(page, '#/outline');
    await page.locator('[role=treeitem][data-key="elman-rnn"]').focus();
    await page.keyboard.press('ArrowLeft');
    same(await page.locator('[role=treeitem][data-key="elman-rnn"]').getAttribute('aria-expanded'), 'false', 'folded');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#card:not([hidden])');
  });
  await test('an unknown address', {}, async (page) => {
    await open(page, '#/mamba3%22%3E%3Cb%3E');
    if (!(await page.locator('.status.shown').textContent()).includes('There is no variant')) throw new Error('no message');
  });
  await test('light and dark', { colorScheme: 'dark' }, async (page) => {
    await open(page);
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await paper();
    await page.locator('#theme').click();
    if ((await paper()) === dark) throw new Error('the same paper');
  });
  await test('on a phone', { viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true }, async (page) => {
    await open(page);
    await page.locator('#search').tap();
    await page.keyboard.type('gated linear attention');
    await page.locator('#hits li', { hasText: 'GLA' }).first().tap();
    same(await cardName(page), 'GLA', 'the card');
    const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
    same(await wide(), 390, 'the width of the page');
    await page.locator('#card .close').tap();
    await page.waitForSelector('#card', { state: 'hidden' });
    await page.locator('nav a[data-view=outline]').tap();
    await page.waitForSelector('.outline');
    same(await wide(), 390, 'the width of the outline');
  });
  const site = join(scratch, 'site');
  execFileSync(program, ['site', site], { env: environment });
  await test('from a disk', {}, async (page) => {
    await page.goto(`file://${site}/index.html#/gla`);
    await page.waitForSelector('body.ready');
    same(await cardName(page), 'GLA', 'the card');
  });
};

try {
  execFileSync(program, ['list', '--json'], { env: environment });
  execFileSync('sqlite3', [environment.CLADE_DB], { input: results });
  server = spawn(program, ['serve', '--port', '0'], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  server.address = await new Promise((resolve, reject) => {
    server.stdout.once('data', (line) => resolve(String(line).trim()));
    server.once('exit', () => reject(new Error('the server does not start')));
  });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] });
  await tests();
} catch (error) {
  failed++;
  console.log(`not ok ${++count} - ${error.message}`);
} finally {
  await browser?.close();
  server?.kill();
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`1..${count}`);
process.exitCode = failed ? 1 : 0;
