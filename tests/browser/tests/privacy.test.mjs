// What is recorded is told once, by keyboard alone; who looked is told to whom it was about; a person's data are handed out and erased.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, Labwire, root } from '../labwire.mjs';
import { barriers, enter, part, READY_WITHIN_MS, run } from '../pages.mjs';

let labwire;
before(async () => {
  const shell = readFileSync(join(root, 'tests', 'src', 'shell-lab.yaml'), 'utf8');
  labwire = await Labwire.start({
    runtime: 'process',
    labs: [['shell', () => shell], ['shell-two', () => shell.replace(/^id: .*$/m, 'id: shell-two')]],
    config: ['privacy: {contact: "Data protection, dpo@example.org"}'],
  });
});
after(() => labwire?.stop());

const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute('data-testid') ?? document.activeElement?.id ?? document.activeElement?.tagName);

/** Presses Tab until the keyboard is where `wanted` says. */
async function tabTo(page, wanted) {
  for (let i = 0; i < 30; i++) {
    if ((await focused(page)) === wanted || (await page.evaluate((w) => document.activeElement?.closest(`[data-testid="${w}"]`) !== null && document.activeElement?.tagName === 'SUMMARY', wanted))) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`Tab never reaches ${wanted}; it is at ${await focused(page)}`);
}

let ada;

test('before the first lab it is told what is recorded, and a keyboard is enough', async () => {
  ada = await labwire.tab({ reads: false });
  await ada.goto(labwire.learner('Ada Lovelace', 'shell'));
  await part(ada, 'told').waitFor();
  assert.equal(await focused(ada), 'told-title', 'a screen reader begins to read it');
  assert.match(await part(ada, 'told-short').innerText(), /recorded[\s\S]*teachers[\s\S]*30 days/);
  assert.doesNotMatch(labwire.cli('session', 'ls', '--all'), /shell/, 'nothing is made before');
  assert.deepEqual(await barriers(ada), []);
  await labwire.shot(ada, 'notice');
  await tabTo(ada, 'told-all');
  await ada.keyboard.press('Enter');
  await part(ada, 'told-contact').waitFor();
  assert.match(await part(ada, 'told-contact').innerText(), /dpo@example\.org/);
  assert.match(await part(ada, 'told-all').innerText(), /keys you press: only in labs that say so\. This lab does not/);
  await labwire.shot(ada, 'notice-details');
  assert.deepEqual(await barriers(ada), []);
  await tabTo(ada, 'told-yes');
  await ada.keyboard.press('Enter');
  await part(ada, 'workbench').waitFor({ timeout: READY_WITHIN_MS });
  assert.deepEqual(ada.problems, []);
});

test('it is told once: not in the next tab, nor for the next lab', async () => {
  const tab = await labwire.tab({ reads: false });
  await enter(tab, labwire.link('--learner', 'adalovelace', '--name', 'Ada Lovelace', '--lab', 'shell'));
  assert.equal(await part(tab, 'told').count(), 0);
  await part(tab, 'stop').click();
  await part(tab, 'stop-yes').click();
  await part(tab, 'ended').waitFor({ timeout: 60_000 });
  await enter(tab, labwire.link('--learner', 'adalovelace', '--name', 'Ada Lovelace', '--lab', 'shell-two'));
  await part(tab, 'stop').click();
  await part(tab, 'stop-yes').click();
  await part(tab, 'ended').waitFor({ timeout: 60_000 });
  assert.deepEqual(tab.problems, []);
  await tab.context().close();
  await ada.context().close();
});

test('in French, on a phone, it says the same, and who gets no lab is told nothing and remembered nowhere', async () => {
  const phone = await labwire.tab({ reads: false, locale: 'fr-FR', width: 360, height: 740 });
  await phone.goto(labwire.learner('Blaise Pascal', 'shell'));
  await part(phone, 'told').waitFor();
  assert.match(await part(phone, 'told-short').innerText(), /enregistré[\s\S]*30 jours/);
  assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
  assert.deepEqual(await barriers(phone), []);
  await labwire.shot(phone, 'notice-phone');
  await phone.context().close();

  const chloe = await labwire.tab({ reads: false });
  await chloe.goto(labwire.learner('Chloé Martin', 'shell', 'DISCOVERY'));
  await part(chloe, 'discovery').waitFor();
  assert.equal(await chloe.evaluate(() => localStorage.getItem('labwire.told')), null);
  assert.match(labwire.cli('person', 'show', 'chlomartin'), /notices acknowledged +0/);
  await chloe.context().close();
});

test('a learner reads who watched and who replayed, in the lab and on the start page', async () => {
  const lin = await labwire.tab();
  await enter(lin, labwire.learner('Lin Torvald', 'shell'));
  await part(lin, 'who-looked').click();
  await part(lin, 'looks-none').waitFor();
  await lin.keyboard.press('Escape');
  await run(lin, 'sh', ['echo seen-$((40 + 2))'], /^seen-42$/m);
  const [session] = labwire.cli('session', 'ls').match(/[0-9a-f]{8}-[0-9a-f-]{27}/);
  const teacher = await labwire.tab();
  await teacher.goto(labwire.staff('teacher', 'Prof. Curie'));
  // a wall that is left before it showed a screen is no look
  await teacher.getByTestId(/^card-/).filter({ hasText: 'seen-42' }).waitFor();
  await teacher.goto(`${labwire.url}/watch/${session}`);
  await part(lin, 'viewers').filter({ hasText: 'Prof. Curie' }).waitFor();
  await teacher.goto(`${labwire.url}/replay/${session}`);
  await part(teacher, 'player').waitFor();
  await part(lin, 'who-looked').click();
  const looks = part(lin, 'looks');
  await looks.waitFor();
  await eventually('all three looks', 20_000, async () => {
    const actions = await looks.getByRole('row').evaluateAll((rows) => rows.map((row) => row.dataset.action).filter(Boolean));
    if (actions.join() === 'replay,view,view') return true;
    await lin.keyboard.press('Escape');
    await part(lin, 'who-looked').click();
    await looks.waitFor();
    return false;
  });
  const text = await looks.innerText();
  assert.match(text, /Prof\. Curie \(teacher\)[\s\S]*watched the recording/);
  assert.match(text, /watched live/);
  assert.match(text, /the class’s wall/);
  assert.deepEqual(await barriers(lin), []);
  await labwire.shot(lin, 'who-looked');
  await lin.keyboard.press('Escape');
  await part(lin, 'stop').click();
  await part(lin, 'stop-yes').click();
  await part(lin, 'ended').waitFor({ timeout: 60_000 });
  await lin.goto(labwire.url);
  await part(lin, 'who-looked').click();
  await part(lin, 'looks').waitFor();
  assert.deepEqual(await barriers(lin), []);
  assert.deepEqual(lin.problems, []);
  await lin.context().close();
});

test('operations hand out a person’s data and erase them, after the id was typed', async () => {
  const page = await labwire.tab();
  await page.goto(labwire.staff('operations', 'Grace Hopper'));
  await part(page, 'retention').waitFor();
  await part(page, 'ops-people').click();
  await part(page, 'people-text').fill('lin');
  await part(page, 'people-find').click();
  await part(page, 'export-lintorvald').waitFor();
  assert.deepEqual(await barriers(page), []);
  await labwire.shot(page, 'people');
  const [file] = await Promise.all([page.waitForEvent('download'), part(page, 'export-lintorvald').click()]);
  assert.equal(file.suggestedFilename(), 'labwire-person.zip');
  assert.equal(readFileSync(await file.path()).subarray(0, 2).toString(), 'PK');

  await part(page, 'erase-lintorvald').click();
  await part(page, 'erase-typed').waitFor();
  assert.ok(await part(page, 'erase-yes').isDisabled());
  assert.deepEqual(await barriers(page), []);
  await labwire.shot(page, 'erase');
  await part(page, 'erase-typed').fill('lintorvald');
  // the list that is asked for again comes only after the page was looked at
  let listed;
  const looked = new Promise((resolve) => (listed = resolve));
  await page.route('**/api/v1/people?*', async (route) => {
    await looked;
    await route.continue();
  });
  await part(page, 'erase-yes').click();
  await page.waitForFunction(() => /erased:[0-9a-f]{32}/.test(document.querySelector('[data-testid="people-said"]')?.textContent ?? ''));
  assert.equal(await part(page, 'export-lintorvald').count(), 0);
  listed();
  await page.waitForFunction(() => !document.querySelector('[data-testid="people-find"]').disabled);
  assert.equal(await part(page, 'export-lintorvald').count(), 0);
  assert.doesNotMatch(labwire.cli('session', 'ls', '--all'), /Torvald|lintorvald/);
  assert.match(labwire.cli('reconcile'), /Every second is accounted for/);
  assert.deepEqual(page.problems, []);
});
