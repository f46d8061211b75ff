// A lab in a frame of a course page of another site, over TLS, in a browser that blocks third-party cookies: each step of the ladder
// (partitioned cookie, the platform's storage, a new window) ends in a terminal that works.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { chromium } from 'playwright-core';
import { eventually, Labwire, launching, readsTheNotice, root } from '../labwire.mjs';
import { part, READY_WITHIN_MS, reads, run } from '../pages.mjs';
import { Platform } from '../platform.mjs';

const dir = mkdtempSync(join(tmpdir(), 'labwire-frame-'));
const SHELL = readFileSync(join(root, 'tests', 'src', 'shell-lab.yaml'), 'utf8');
/** Whether the front takes `Partitioned` from our cookies, as a browser does that does not know it. */
let old = false;
let labwire, platform, front, browser;

/** A key, and a certificate for every host of these tests. */
function certificate() {
  const [key, cert] = ['key', 'cert'].map((name) => join(dir, `${name}.pem`));
  execFileSync('openssl', ['req', '-x509', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=test', '-addext', 'subjectAltName=DNS:*.example', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

/** TLS before Labwire, as a load balancer has it. */
function frontOf(tls) {
  return async (port) => {
    front = createTlsServer(tls, (outside) => {
      const inside = connect(port, '127.0.0.1');
      for (const [a, b] of [[inside, outside], [outside, inside]]) a.on('error', () => b.destroy());
      outside.pipe(inside);
      inside.on('data', (bytes) => outside.write(old ? Buffer.from(bytes.toString('latin1').replace('; Partitioned', '; Xartitioned'), 'latin1') : bytes));
      inside.on('end', () => outside.end());
    });
    await new Promise((go) => front.listen(0, '127.0.0.1', go));
    return `https://labs.example:${front.address().port}`;
  };
}

before(async () => {
  const tls = certificate();
  platform = await Platform.start({ tool: () => labwire.url, host: 'campus.example', tls });
  const lab = (id) => [id, () => SHELL.replace('id: shell', `id: ${id}`)];
  const plan = '  - {id: PAIR, name: {en: Two at once, fr: Deux à la fois}, labs: true, concurrency_max: 2, seconds: 7200, valid_days: 30}';
  labwire = await Labwire.start({
    runtime: 'process', at: frontOf(tls), labs: [lab('left'), lab('right')],
    config: [`http: {frame_ancestors: ["${platform.url}"]}`, 'plans:', plan],
  });
  platform.register(labwire, '--plan', 'PAIR', '--course', 'net');
  const profile = join(dir, 'profile');
  mkdirSync(join(profile, 'Default'), { recursive: true });
  // what "Block third-party cookies" in the settings writes
  writeFileSync(join(profile, 'Default', 'Preferences'), JSON.stringify({ profile: { cookie_controls_mode: 1, block_third_party_cookies: true } }));
  browser = await chromium.launchPersistentContext(profile, {
    ...launching('--host-resolver-rules=MAP *.example 127.0.0.1'), ignoreHTTPSErrors: true, viewport: { width: 1280, height: 1000 }, locale: 'en-GB',
  });
  await browser.addInitScript(readsTheNotice);
});
after(async () => {
  await browser?.close();
  await labwire?.stop();
  platform?.stop();
  front?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A tab of its own for each test, with no cookie left of the one before. `knows`: the browser knows cookies that are kept apart. */
async function tab(path, { knows = true } = {}) {
  old = !knows;
  await browser.clearCookies();
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(`${platform.url}${path}`);
  return page;
}

/** Types into the lab that `view`, a frame or a page, shows, and waits for what the shell makes of it. */
async function works(view, a, b) {
  await part(view, 'workbench').waitFor({ timeout: READY_WITHIN_MS });
  await run(view, 'sh', [`echo answer-$((${a} * ${b}))`], new RegExp(`answer-${a * b}`));
}

const framed = (page, block) => page.frame({ name: block });

test('this browser blocks cookies of other sites, but for those that are kept apart', async () => {
  const other = `https://other.example:${platform.port}/cookies`;
  const page = await tab(`/frame?src=${encodeURIComponent(other)}`);
  const shown = await eventually('the frame shows its cookies', 30_000, async () => {
    const frame = page.frames()[1];
    return frame?.url().endsWith('?shown') && (await frame.locator('#shown').count()) ? frame.locator('#shown').innerText() : null;
  });
  assert.equal(shown, 'apart=1');
  await page.close();
});

test('a click in a course of another site ends in a terminal that works, in the frame, by the cookie that is kept apart', async () => {
  const page = await tab('/course?block=left');
  await works(framed(page, 'left'), 6, 7);
  await labwire.shot(page, 'frame');
  assert.equal(new URL(framed(page, 'left').url()).origin, labwire.url);
  await framed(page, 'left').evaluate(() => {
    globalThis.before = true;
    location.reload();
  });
  await framed(page, 'left').waitForFunction(() => !globalThis.before);
  await works(framed(page, 'left'), 5, 7);
  await page.close();
});

test('two labs on one page do not disturb each other', async () => {
  const page = await tab('/course?block=left&block=right');
  await works(framed(page, 'left'), 11, 11);
  await works(framed(page, 'right'), 13, 13);
  await works(framed(page, 'left'), 17, 17);
  const left = await reads(framed(page, 'left'), /answer-289/);
  const right = await reads(framed(page, 'right'), /answer-169/);
  assert.ok(left.includes('answer-289') && !left.includes('answer-169'), left);
  assert.ok(right.includes('answer-169') && !right.includes('answer-289'), right);
  await page.close();
});

test('where no cookie of ours is kept, the platform keeps what proves the browser', async () => {
  const page = await tab('/course?block=left&storage', { knows: false });
  await works(framed(page, 'left'), 19, 19);
  assert.equal(await page.evaluate(() => globalThis.asked), 2, 'put once, and asked for once');
  await page.close();
});

test('where neither is kept, a click opens the lab in a window of its own', async () => {
  const page = await tab('/course?block=right', { knows: false });
  const frame = framed(page, 'right');
  const link = frame.locator('a[target=_blank]');
  await link.first().waitFor();
  const [window_] = await Promise.all([browser.waitForEvent('page'), link.first().click()]);
  await works(window_, 23, 23);
  assert.equal(new URL(window_.url()).origin, labwire.url);
  await window_.close();
  await page.close();
});
