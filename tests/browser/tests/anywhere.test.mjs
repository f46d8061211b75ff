// Learners without a big screen, a mouse or a fast line.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, Labwire } from '../labwire.mjs';
import { barriers, enter, openConsole, part, reads, type } from '../pages.mjs';
import { slowLine } from '../slow.mjs';

/** Everything the learner's page loads, through a phone's connection (the pages' own build holds the same number). */
const PAGE_BYTES_MAX = 300 * 1000;
const SLOW = { bitsPerSecond: 64_000, roundTripMs: 400 };
/** 300 kB at 64 kbit/s are 38 s; requests that wait for each other, and the lab's own start, are the rest. */
const SLOW_LOAD_WITHIN_MS = 90_000;

let labwire;
before(async () => {
  labwire = await Labwire.start();
});
after(() => labwire?.stop());

const focused = (page) => page.evaluate(() => {
  const here = document.activeElement;
  const style = here && getComputedStyle(here);
  const region = here?.closest('[data-region]')?.getAttribute('data-region') ?? null;
  const ring = style && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
  const pane = here?.closest('.pane');
  // A console shows its focus as a frame around all of it.
  const frame = pane && parseFloat(getComputedStyle(pane, '::after').borderTopWidth) > 0;
  return { region, id: here?.getAttribute('data-testid'), label: here?.getAttribute('aria-label') ?? here?.textContent?.trim() ?? '', visible: Boolean(ring || frame) };
});

test('the keyboard alone reaches every part of the page, also out of a console', async () => {
  const page = await labwire.tab();
  await enter(page, labwire.learner('Louis Braille', 'static-routes'));
  const regions = await page.evaluate(() => [...document.querySelectorAll('[data-region]')].filter((one) => one.getClientRects().length).map((one) => one.dataset.region));
  assert.ok(regions.length >= 5, `${regions}`);
  const reached = [];
  for (const _ of regions) {
    await page.keyboard.press('F6');
    const here = await focused(page);
    assert.ok(here.visible, `the focus can be seen in ${here.region}, on ${here.id ?? here.label}`);
    reached.push(here.region);
  }
  assert.deepEqual(reached.toSorted(), regions.toSorted(), 'F6 reaches each');

  // Tab belongs to the console; F6 leads out of it, forwards and back.
  while ((await focused(page)).region !== 'terminal-0') await page.keyboard.press('F6');
  await page.keyboard.type('echo tab-');
  await page.keyboard.press('Tab');
  assert.equal((await focused(page)).region, 'terminal-0');
  await page.keyboard.press('Shift+F6');
  assert.notEqual((await focused(page)).region, 'terminal-0');

  // Consoles by arrow keys, then a command, and its text, without a mouse.
  while ((await focused(page)).region !== 'tabs') await page.keyboard.press('F6');
  await page.keyboard.press('ArrowRight');
  assert.equal((await focused(page)).id, 'tab-r1');
  while ((await focused(page)).region !== 'terminal-1') await page.keyboard.press('F6');
  await type(page, 'show ip route');
  await page.keyboard.press('Shift+F6');
  while ((await focused(page)).id !== 'plain') await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await eventually('the text says what the console says', 20_000, async () => {
    if (/C>\* 10\.1\.0\.0\/24/.test(await part(page, 'plain-text').textContent())) return true;
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    return false;
  });
  await page.keyboard.press('Escape');
  assert.equal((await focused(page)).id, 'plain', 'back to where it was opened');
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('on a phone there are the keys that phones lack, a line to write in, and nothing to scroll sideways', async () => {
  // One pixel a point: emulated higher, Chromium tells the console's canvas a size in points for one in pixels (a phone does not).
  const phone = await labwire.tab({ width: 360, height: 740, isMobile: true, hasTouch: true });
  const fits = async (what) => assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what} is not wider than the screen`);
  await phone.goto(labwire.learner('Grace Hopper', 'static-routes'));
  await phone.waitForURL(/\/lab$/);
  await fits('the start');
  await part(phone, 'workbench').waitFor({ timeout: 60_000 });
  for (const view of ['instructions', 'map', 'checks', 'consoles']) {
    await part(phone, `view-${view}`).tap();
    await fits(view);
    assert.deepEqual(await barriers(phone), [], view);
  }
  await part(phone, 'tab-h1').tap();
  await part(phone, 'compose').fill('ping 10.1.0.1');
  await part(phone, 'compose-send').tap();
  await reads(phone, /64 bytes from 10\.1\.0\.1/);
  await part(phone, 'keys').getByText('^C').tap();
  await reads(phone, /min\/avg\/max/);
  await part(phone, 'keys').getByText('↑').tap();
  await part(phone, 'compose-send').tap();
  await reads(phone, /min\/avg\/max[\s\S]*\$ ping 10\.1\.0\.1\n[\s\S]*64 bytes/);
  await part(phone, 'keys').getByText('Ctrl').tap();
  await part(phone, 'compose').pressSequentially('c');
  await reads(phone, /min\/avg\/max[\s\S]*min\/avg\/max/);
  await labwire.shot(phone, 'phone');
  assert.deepEqual(phone.problems, []);
  await phone.context().close();
});

test('at 64 kbit/s and 400 ms the page comes, and what is typed is echoed', async () => {
  const line = await slowLine(labwire.port, SLOW);
  try {
    const page = await labwire.tab();
    const link = labwire.learner('Sophie Germain', 'static-routes').replace(labwire.url, `http://127.0.0.1:${line.port}`);
    const clicked = Date.now();
    await page.goto(link, { timeout: SLOW_LOAD_WITHIN_MS });
    await part(page, 'workbench').waitFor({ timeout: SLOW_LOAD_WITHIN_MS });
    const loaded = Date.now() - clicked;
    const bytes = line.downloaded;
    assert.ok(bytes < PAGE_BYTES_MAX, `${bytes} bytes for the page and the lab's start`);
    await openConsole(page, 'h1');
    await page.keyboard.type('echo slow-$((5 * 5))');
    await page.keyboard.press('Enter');
    const typed = Date.now();
    await reads(page, /^slow-25$/m, 15_000);
    const echoed = Date.now() - typed;
    // A flood is slowed, not queued up: Ctrl-C comes through it.
    await openConsole(page, 'h1');
    await type(page, 'yes flood');
    await reads(page, /flood\nflood/, 30_000);
    await openConsole(page, 'h1');
    await page.keyboard.press('Control+C');
    await reads(page, /\^C\n.*\$ *$/, 60_000);
    console.log(`# 64 kbit/s, 400 ms: first prompt after ${loaded} ms and ${bytes} bytes; a line and its answer, read in the plain-text view, ${echoed} ms`);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  } finally {
    await line.close();
  }
});
