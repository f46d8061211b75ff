// The operations page: the installation in counts, and the pause of new launches. On the process runtime: nothing here is about containers.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, Labwire, root } from '../labwire.mjs';
import { barriers, enter, part, run } from '../pages.mjs';

/** The same lab under another name: one in whose image nobody could ever find a start. */
const BROKEN = (text) => text.replace(/^id: .*$/m, 'id: broken').replace(/^start: .*$/m, 'start: [sh, -c, exit 3]');
const REASON = 'New disks in the north room.';

let labwire;
let ada;
before(async () => {
  const shell = readFileSync(join(root, 'tests', 'src', 'shell-lab.yaml'), 'utf8');
  labwire = await Labwire.start({ runtime: 'process', labs: [['shell', () => shell], ['broken', () => BROKEN(shell)]] });
});
after(() => labwire?.stop());

/** Opens the operations page in a tab of its own. */
async function operations(more) {
  const page = await labwire.tab(more);
  await page.goto(labwire.staff('operations', 'Grace Hopper'));
  await part(page, 'overview').waitFor();
  return page;
}

const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute('data-testid') ?? document.activeElement?.tagName);
const count = async (page, id) => part(page, `${id}-count`).innerText();

/** Tabs on until `id` has the focus. */
async function tabTo(page, id) {
  for (let n = 0; n < 80; n++) {
    if ((await focused(page)) === id) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`${id} is not reached by the tabulator key`);
}

test('the counts come first, what is behind them unfolds, and both follow what happens without taking the focus', async () => {
  const page = await operations({ height: 2000 });
  assert.equal(await count(page, 'live'), '0');
  assert.equal(await count(page, 'queue'), '0');
  await part(page, 'sandboxes-details').focus();
  await page.keyboard.press('Enter');
  assert.match(await part(page, 'sandboxes').innerText(), /no sandbox/);

  ada = await labwire.tab();
  await enter(ada, labwire.learner('Ada Lovelace', 'shell'));
  await eventually('the page shows the new sandbox', 20_000, async () => (await count(page, 'sandboxes')) === '1');
  assert.equal(await count(page, 'live'), '1');
  const phases = part(page, 'phases');
  await phases.getByRole('row', { name: /Running/ }).waitFor();
  assert.equal(await phases.getByRole('columnheader').count(), 7, 'a phase, five ages, all of them');
  assert.equal(await focused(page), 'sandboxes-details', 'the keyboard stays where it was through all of this');

  for (const id of ['nodes', 'failures', 'recorders', 'leases', 'pools', 'queue']) await part(page, `${id}-details`).click();
  await part(page, 'tasks').getByRole('row', { name: /provisioning/ }).waitFor();
  assert.equal(await part(page, 'leases').getAttribute('data-trouble'), 'false');
  assert.deepEqual(await barriers(page), []);
  await labwire.shot(page, 'operations-overview');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('what went wrong is told by reason, with what it means and what to do', async () => {
  const page = await operations({ locale: 'fr-FR' });
  const tab = await labwire.tab();
  await tab.goto(labwire.learner('Bob Broken', 'broken'));
  await part(tab, 'ended').waitFor({ timeout: 60_000 });
  await eventually('the failure is counted', 20_000, async () => (await count(page, 'failures')) === '1');
  await part(page, 'failures-details').click();
  const told = await part(page, 'failure-lab-failed').innerText();
  assert.match(told, /commande de démarrage du TP[\s\S]*Que faire[\s\S]*broken \(1\)/);
  assert.equal(await part(page, 'failures').getAttribute('data-trouble'), 'true');
  assert.deepEqual(await barriers(page), []);
  await labwire.shot(page, 'operations-failures');
  await page.context().close();
  await tab.context().close();
});

test('damaged uploads are counted, named by session, with what to do, in both languages', async () => {
  const session = '0199f1c2-7b1e-7c3a-9d55-8f1d0c6b2a11';
  // as the recordings' storage keeps them
  const aside = join(labwire.dir, 'data', 'recordings', 'quarantine', 'recordings', session);
  mkdirSync(aside, { recursive: true });
  for (const n of [1, 2]) writeFileSync(join(aside, `${n}-2-1`), 'damaged');
  for (const [locale, what, where] of [
    ['en-GB', /Nothing is lost[\s\S]*delete these objects/, /What to do/],
    ['fr-FR', /Rien n’est perdu[\s\S]*supprimez ces objets/, /Que faire/],
  ]) {
    const page = await operations({ locale });
    await eventually('they are counted', 90_000, async () => (await count(page, 'quarantine')) === '2');
    assert.equal(await part(page, 'quarantine').getAttribute('data-trouble'), 'true');
    await part(page, 'quarantine-details').click();
    const told = await part(page, 'quarantine').innerText();
    assert.match(told, what);
    assert.match(told, where);
    assert.match(await part(page, 'quarantined').getByRole('row', { name: session }).innerText(), /quarantine\/recordings\//);
    assert.deepEqual(await barriers(page), []);
    await labwire.shot(page, `operations-quarantine-${locale.slice(0, 2)}`);
    await page.context().close();
  }
  rmSync(join(labwire.dir, 'data', 'recordings', 'quarantine'), { recursive: true });
});

test('an administration sees that the ledger adds up, and takes a statement away, in both languages', async () => {
  for (const [locale, adds, used] of [['en-GB', /Every second was accounted for/, /Used/], ['fr-FR', /Chaque seconde était justifiée/, /Utilisé/]]) {
    const page = await operations({ locale, height: 1400 });
    await part(page, 'ops-accounts').click();
    await eventually('the ledger is reconciled', 30_000, async () => adds.test(await part(page, 'reconciled').innerText()));
    assert.equal(await count(page, 'reconciled'), '0');
    await part(page, 'statement-id').fill('net');
    await page.keyboard.press('Enter');
    await part(page, 'statement-flow').getByRole('row', { name: used }).first().waitFor();
    const [file] = await Promise.all([page.waitForEvent('download'), part(page, 'statement-pdf').click()]);
    assert.equal(file.suggestedFilename(), 'labwire-course.pdf');
    assert.equal(readFileSync(await file.path()).subarray(0, 5).toString(), '%PDF-');
    await part(page, 'reconciled-details').click();
    assert.deepEqual(await barriers(page), []);
    await labwire.shot(page, `operations-accounts-${locale.slice(0, 2)}`);
    assert.deepEqual(page.problems, []);
    await page.context().close();
  }
});

test('the keyboard alone pauses new launches; learners read why and when to come back; who runs goes on', async () => {
  const page = await operations();
  await page.keyboard.press('Tab');
  await tabTo(page, 'pause');
  await page.keyboard.press('Enter');
  await part(page, 'pause-dialog').waitFor();
  assert.equal(await focused(page), 'pause-reason');
  assert.ok(await part(page, 'pause-yes').isDisabled(), 'without a reason there is no pause');
  assert.deepEqual(await barriers(page), []);
  await labwire.shot(page, 'operations-pause-dialog');
  await page.keyboard.type(REASON);
  await page.keyboard.press('Enter');
  await part(page, 'paused').waitFor();
  await part(page, 'pause-dialog').waitFor({ state: 'hidden' });
  assert.equal(await focused(page), 'resume', 'the way back has the keyboard');
  const banner = await part(page, 'paused').innerText();
  assert.match(banner, /New launches are paused[\s\S]*New disks in the north room\.[\s\S]*by Grace Hopper[\s\S]*come back: [\s\S]*Running labs go on/);
  assert.deepEqual(await barriers(page), []);
  await labwire.shot(page, 'operations-paused');
  for (const view of ['sessions', 'usage', 'health', 'overview']) {
    await part(page, `ops-${view}`).click();
    await part(page, view === 'overview' ? 'overview' : view).waitFor({ state: 'attached' });
    assert.ok(await part(page, 'paused').isVisible(), `${view} shows it`);
  }
  assert.match(await (await fetch(`${labwire.url}/healthz`)).text(), /^alive\nlaunches paused since .*: New disks/);
  assert.equal((await fetch(`${labwire.url}/readyz`)).status, 200);

  for (const [locale, name, words] of [
    ['en-GB', 'Eve English', /paused for the moment[\s\S]*Come back (at|on)[\s\S]*New disks in the north room/],
    ['fr-FR', 'Flore Francaise', /suspendus pour le moment[\s\S]*Revenez (à|le)[\s\S]*New disks in the north room/],
  ]) {
    const tab = await labwire.tab({ locale, width: 390, height: 800 });
    await tab.goto(labwire.learner(name, 'shell'));
    await part(tab, 'launches-paused').waitFor();
    assert.match(await part(tab, 'launches-paused').innerText(), words);
    assert.deepEqual(await barriers(tab), []);
    await labwire.shot(tab, `learner-paused-${locale.slice(0, 2)}`);
    await tab.context().close();
  }

  // the one who runs: the same link again leads back into the lab, and the lab answers
  const back = await labwire.tab();
  await enter(back, labwire.link('--learner', 'adalovelace', '--name', 'Ada Lovelace', '--lab', 'shell'));
  await run(back, 'sh', ['echo still-$((40+2))'], /still-42/);
  await back.context().close();

  assert.match(labwire.cli('drain', 'status'), /paused since .* by Grace Hopper: New disks/);
  await part(page, 'resume').focus();
  await page.keyboard.press('Enter');
  await part(page, 'pause').waitFor();
  assert.equal(await focused(page), 'pause');
  assert.match(labwire.cli('drain', 'status'), /launches are taken/);
  const tab = await labwire.tab();
  await enter(tab, labwire.learner('Ines Late', 'shell'));
  await tab.context().close();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('a pause from the command line is on the page within seconds, and a phone shows all of it', async () => {
  const page = await operations({ width: 390, height: 844 });
  labwire.cli('drain', 'on', '--reason', 'Upgrade.', '--minutes', '15');
  await part(page, 'paused').filter({ hasText: 'labwire drain' }).waitFor();
  const wide = () => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  assert.equal(await wide(), false, 'the page itself does not scroll sideways');
  for (const id of ['sandboxes', 'leases', 'queue']) await part(page, `${id}-details`).click();
  await part(page, 'phases').waitFor();
  assert.equal(await wide(), false);
  assert.deepEqual(await barriers(page), []);
  await labwire.shot(page, 'operations-phone');
  await part(page, 'leases').scrollIntoViewIfNeeded();
  await labwire.shot(page, 'operations-phone-leases');
  labwire.cli('drain', 'off');
  await part(page, 'pause').waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
