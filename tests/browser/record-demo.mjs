// scripts/record-demo: a demonstration, typed into a real session and cut from its recording.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually, Labwire, root } from './labwire.mjs';
import { enter, openConsole, reads } from './pages.mjs';

/** Nobody waits longer than this in a demonstration, however long the network took. */
const GAP_MAX_S = 1.2;
const CAST_BYTES_MAX = 100_000;
/** About 80 columns and 24 lines, so that the demonstration fits a small window too. */
const WINDOW = { width: 1140, height: 545 };
const SLACK_S = 0.15;
const ANCHOR = 'demonstration starts';

const lab = process.argv[2];
const folder = readdirSync(join(root, 'lab-images')).map((image) => join(root, 'lab-images', image, 'labs', lab)).find((one) => existsSync(join(one, 'demo.script')));
if (!folder) throw new Error(`no lab-images/*/labs/${lab}/demo.script`);
const script = readFileSync(join(folder, 'demo.script'), 'utf8').split('\n').map((line) => /^([@>?.]) (.*)$/.exec(line)).filter(Boolean);

/** 45 to 125 ms from key to key, longer after a word; the same at every recording. */
const pace = (() => {
  let state = 1;
  return (key) => {
    state = (state * 48271) % 2147483647;
    return 45 + (state % 60) + (key === ' ' ? 20 : 0);
  };
})();

async function typed(page, line) {
  for (const key of line) {
    await page.keyboard.type(key);
    await pause(pace(key));
  }
  await pause(250);
  await page.keyboard.press('Enter');
  await pause(700);
}

/** Plays the script; gives the visits to consoles, in seconds of this program's clock, and the anchor's time. */
async function play(page) {
  const now = () => performance.now() / 1000;
  const visits = [];
  const shell = script.find(([, what, rest]) => what === '@' && /^h\d/.test(rest))[2].split(' ')[0];
  await openConsole(page, shell);
  await page.keyboard.type(`echo ${ANCHOR}`);
  const anchor = { terminal: shell, at: now() };
  await page.keyboard.press('Enter');
  await reads(page, new RegExp(`^${ANCHOR}$`, 'm'));
  for (const [, what, rest] of script) {
    if (what === '@') {
      const [terminal, ...title] = rest.split(' ');
      await pause(1200);
      if (visits.length) visits.at(-1).to = now();
      await openConsole(page, terminal);
      await pause(300);
      visits.push({ terminal, title: title.join(' '), from: now(), to: Infinity });
      await page.keyboard.press('Enter');
      await pause(400);
    } else if (what === '>') await typed(page, rest);
    else if (what === '.') await pause(1000 * Number(rest));
    else {
      await reads(page, new RegExp(rest), 60_000);
      await openConsole(page, visits.at(-1).terminal);
    }
  }
  await pause(2000);
  return { visits, anchor };
}

/** An exported console: its header, and its events in the seconds of this program's clock. */
function exported(labwire, session, terminal) {
  const [header, ...events] = labwire.cli('recording', 'export', session, '--format', 'asciicast-v2', '--terminal', terminal).trim().split('\n').map((line) => JSON.parse(line));
  return { header, events };
}

function cut(labwire, session, { visits, anchor }, title) {
  const consoles = new Map([...new Set(visits.map(({ terminal }) => terminal))].map((terminal) => [terminal, exported(labwire, session, terminal)]));
  const echo = consoles.get(anchor.terminal).events.find(([, code, data]) => code === 'o' && data.includes(`${ANCHOR}\r\n`));
  if (!echo) throw new Error('the anchor is not in the recording');
  // The echo took a few milliseconds; each visit begins and ends in a pause longer than SLACK_S.
  const zero = echo[0] - anchor.at - SLACK_S;
  const size = consoles.get(visits[0].terminal).events.findLast(([, code]) => code === 'r')[2].split('x').map(Number);
  const lines = [{ version: 2, width: size[0], height: size[1], title, env: { TERM: 'xterm-256color' } }];
  let at = 0;
  for (const visit of visits) {
    lines.push([at, 'm', visit.title], [at, 'o', `\x1b[H\x1b[2J\x1b[3J\x1b[7m ${visit.title} \x1b[0m\r\n`]);
    let before = visit.from + zero;
    for (const [time, code, data] of consoles.get(visit.terminal).events) {
      if (code !== 'o' || time < visit.from + zero || time >= visit.to + zero) continue;
      at = Math.round((at + Math.min(GAP_MAX_S, time - before)) * 1000) / 1000;
      before = time;
      lines.push([at, 'o', data]);
    }
    at = Math.round((at + GAP_MAX_S) * 1000) / 1000;
  }
  lines.push([at, 'o', '']);
  return { text: lines.map((line) => JSON.stringify(line)).join('\n') + '\n', seconds: at };
}

const labwire = await Labwire.start();
try {
  const page = await labwire.tab(WINDOW);
  await enter(page, labwire.learner('Demonstration', lab));
  const played = await play(page);
  const [session] = labwire.cli('session', 'ls').match(/[0-9a-f]{8}-[0-9a-f-]{27}/);
  const title = await page.getByTestId('title').innerText();
  labwire.cli('session', 'stop', session);
  await eventually('the session is over', 60_000, () => !labwire.cli('session', 'ls').includes(session));
  const { text, seconds } = cut(labwire, session, played, title);
  if (text.length > CAST_BYTES_MAX) throw new Error(`${text.length} bytes are more than ${CAST_BYTES_MAX}`);
  writeFileSync(join(folder, 'demo.cast'), text);
  console.log(`${join(folder, 'demo.cast')}: ${Math.round(seconds)} s, ${text.length} bytes`);
} finally {
  await labwire.stop();
}
