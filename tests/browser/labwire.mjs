// A running Labwire for one test file: the binary that `make build-release` made, on Docker, with data of its own, and a Chromium to look at
// it. Everything waits for conditions; nothing sleeps and hopes.
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, cpSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
const binary = join(process.env.LABWIRE_BIN ?? join(target, 'release'), 'labwire');
/** Screenshots are kept as files, to be looked at and to be shown in the README. */
export const shots = join(target, 'browser');

/** Those that the README, docs/money.md and docs/courses.md show; a page should not weigh a megabyte. */
const DOCS_SHOTS = ['learner', 'teacher', 'operations-accounts-en', 'course-counts-en'];
const SHOT_BYTES_MAX = 300 * 1000;
const START_WITHIN_MS = 60_000;

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Waits until `look` gives something truthy. */
export async function eventually(what, withinMs, look) {
  const end = Date.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${typeof what === 'function' ? what() : what}`);
    await new Promise((go) => setTimeout(go, 50));
  }
}

/** A person who reads the notice as soon as it is shown. */
export const readsTheNotice = () => new MutationObserver(() => document.querySelector('[data-testid="told-yes"]:not(:disabled)')?.click()).observe(document, { childList: true, subtree: true });

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** How Chromium is started. `more`: further flags. */
export const launching = (...more) => ({
  executablePath: CHROMIUM,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', ...more],
});

export class Labwire {
  /** `labs`: further labs as [id, function from a shipped lab's text to the new one's]. `runtime`: `process` for labs of this machine's programs.
   * `config`: further lines of the configuration. `at`: how people reach it, from its port, where something stands before it. */
  static async start({ labs: further = [], runtime = 'docker', config = [], at } = {}) {
    if (!existsSync(binary)) throw new Error(`${binary} is not built: run \`make build-release\``);
    const me = new Labwire();
    me.dir = mkdtempSync(join(tmpdir(), 'labwire-browser-'));
    me.boxes = runtime === 'process' ? mkdtempSync(join(tmpdir(), 'lw-')) : null; // sockets' paths must be short
    me.installation = runtime === 'process' ? `b${process.pid}` : `browser-${process.pid}-${Date.now()}`;
    me.port = await freePort();
    me.inside = `http://127.0.0.1:${me.port}`;
    me.url = (await at?.(me.port)) ?? me.inside;
    const labs = join(me.dir, 'labs');
    for (const image of readdirSync(join(root, 'lab-images'))) {
      const from = join(root, 'lab-images', image, 'labs');
      if (existsSync(from)) cpSync(from, labs, { recursive: true });
    }
    for (const [id, change] of further) {
      mkdirSync(join(labs, id));
      writeFileSync(join(labs, id, 'lab.yaml'), change(readFileSync(join(labs, 'static-routes', 'lab.yaml'), 'utf8')));
    }
    me.config = join(me.dir, 'labwire.yaml');
    const agent = process.env.LABWIRE_AGENT;
    if (!agent || !existsSync(agent)) throw new Error('LABWIRE_AGENT must name the static lab-agent: `make test-browser` does');
    writeFileSync(
      me.config,
      [
        `installation: ${me.installation}`,
        `listen: ${me.inside.slice('http://'.length)}`,
        `public_url: ${me.url}`,
        `data_dir: ${join(me.dir, 'data')}`,
        `labs_dir: ${labs}`,
        'runtime:',
        `  kind: ${runtime}`,
        `  agent: ${agent}`,
        ...(me.boxes ? [`  state_dir: ${me.boxes}`] : []),
        'courses:',
        '  - {id: net, title: Networks in practice}',
        ...config,
        '',
      ].join('\n'),
    );
    mkdirSync(shots, { recursive: true });
    await me.spawn();
    me.browser = await chromium.launch(launching());
    return me;
  }

  async spawn() {
    this.log = join(this.dir, 'serve.log');
    const log = openSync(this.log, 'a');
    this.server = spawn(binary, ['serve', '--config', this.config], { stdio: ['ignore', log, log] });
    closeSync(log);
    await eventually('the server is ready', START_WITHIN_MS, async () => {
      if (this.server.exitCode !== null) throw new Error(`labwire ended:\n${readFileSync(this.log, 'utf8').slice(-4000)}`);
      return fetch(`${this.inside}/readyz`).then((r) => r.ok, () => false);
    });
  }

  /** Kills the server as a crash would. */
  async kill() {
    const gone = new Promise((go) => this.server.once('exit', go));
    this.server.kill('SIGKILL');
    await gone;
  }

  cli(...args) {
    return execFileSync(binary, [...args, '--config', this.config], { encoding: 'utf8' });
  }

  link(...args) {
    const out = this.cli('link', '--course', 'net', ...args);
    return out.match(/https?:\S+/)[0];
  }

  /** The key that signs links: made at the first start, kept beside the data. */
  linkKey() {
    return /secret: *"?([^"\n]+)"?/.exec(readFileSync(join(this.dir, 'data', 'keys.yaml'), 'utf8'))[1];
  }

  /** A learner's link, with an hour of lab time unless `plan` says otherwise. */
  learner(name, lab, plan = 'QUALIFYING') {
    const id = name.toLowerCase().replaceAll(/[^a-z]/g, '');
    this.cli('grant', '--learner', id, '--course', 'net', '--plan', plan, ...(plan === 'QUALIFYING' ? ['--seconds', '3600'] : []));
    return this.link('--learner', id, '--name', name, '--lab', lab, ...(plan === 'QUALIFYING' ? [] : ['--plan', plan]));
  }

  staff(role, name) {
    return this.link('--learner', name.toLowerCase().replaceAll(/[^a-z]/g, ''), '--name', name, '--role', role);
  }

  /** A tab in a profile of its own; its console errors and failed requests are collected. Its person has the notice read as soon as it is
   * shown, unless `reads` is false. */
  async tab({ width = 1280, height = 800, locale = 'en-GB', reads = true, ...more } = {}) {
    const context = await this.browser.newContext({ viewport: { width, height }, locale, ...more });
    if (reads) await context.addInitScript(readsTheNotice);
    const page = await context.newPage();
    page.problems = [];
    // what a page of somebody else's asks for is no fault of ours: a test says whose
    page.ignores = () => false;
    page.on('console', (m) => m.type() === 'error' && !page.ignores(m.location().url) && page.problems.push(m.text()));
    page.on('pageerror', (e) => page.problems.push(String(e)));
    page.setDefaultTimeout(30_000);
    return page;
  }

  /** Keeps what the page shows. With LABWIRE_KEEP_SHOTS=1 (scripts/screenshots) those of the README and docs/ are renewed. */
  async shot(page, name) {
    const path = join(shots, `${name}.png`);
    await page.screenshot({ path, animations: 'disabled' });
    if (process.env.LABWIRE_KEEP_SHOTS !== '1' || !DOCS_SHOTS.includes(name)) return;
    if (statSync(path).size > SHOT_BYTES_MAX) throw new Error(`${path} is larger than ${SHOT_BYTES_MAX} bytes`);
    cpSync(path, join(root, 'docs', 'images', `${name}.png`));
  }

  async stop() {
    await this.browser?.close();
    if (this.server?.exitCode === null) {
      const gone = new Promise((go) => this.server.once('exit', go));
      this.server.kill('SIGTERM');
      await gone;
    }
    // labs outlive a server on purpose: child processes would run on for hours
    if (this.boxes) this.cli('sandbox', 'clear', '--within', '20s');
    const left = execFileSync('docker', ['ps', '-aq', '--filter', `label=labwire.installation=${this.installation}`], { encoding: 'utf8' }).split('\n').filter(Boolean);
    if (left.length) execFileSync('docker', ['rm', '-f', '-v', ...left], { stdio: 'ignore' });
    const log = readFileSync(this.log, 'utf8');
    rmSync(this.dir, { recursive: true, force: true });
    if (this.boxes) rmSync(this.boxes, { recursive: true, force: true });
    if (log.includes('panicked at')) throw new Error(`a panic:\n${log.slice(-4000)}`);
  }
}
