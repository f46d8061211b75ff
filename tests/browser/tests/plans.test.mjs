// Links and plans: who may enter, with how much time, and what everybody else is told.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, Labwire } from '../labwire.mjs';
import { barriers, enter, part, READY_WITHIN_MS } from '../pages.mjs';

let labwire;
let emilie;
before(async () => {
  labwire = await Labwire.start();
});
after(() => labwire?.stop());

/** Opens `link` in a tab of its own and gives the page's words on why it does not lead on. */
async function refusal(link, locale) {
  const page = await labwire.tab({ locale });
  await page.goto(link);
  const problem = part(page, 'problem');
  await problem.waitFor();
  assert.deepEqual(await barriers(page), []);
  const said = { code: await problem.getAttribute('data-code'), text: await problem.innerText() };
  assert.deepEqual(page.problems.filter((one) => !/status of 401/.test(one)), []);
  await page.context().close();
  return said;
}

/** The same link, as it would be if it had been made `seconds` earlier: signed again, with the installation's own key. */
function aged(link, seconds) {
  const url = new URL(link);
  const [header, payload] = url.searchParams.get('token').split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  claims.iat -= seconds;
  claims.exp -= seconds;
  const signed = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  url.searchParams.set('token', `${signed}.${createHmac('sha256', labwire.linkKey()).update(signed).digest('base64url')}`);
  return url.href;
}

test('without lab time there is the lab, a demonstration, and how to get to run it', async () => {
  const page = await labwire.tab();
  await page.goto(labwire.learner('Chloé Martin', 'ospf-triangle', 'DISCOVERY'));
  await part(page, 'discovery').waitFor();
  const text = await part(page, 'discovery').innerText();
  assert.match(text, /Upgrade in your course/);
  await part(page, 'discovery').getByText('Qualifying', { exact: true }).waitFor();
  assert.match(text, /Three routers form a triangle/);
  await part(page, 'node-r2').waitFor();
  await part(page, 'player').waitFor();
  await part(page, 'play').click();
  await eventually('the demonstration plays', 20_000, async () => Number(await part(page, 'player').getAttribute('data-position')) > 3000);
  await part(page, 'play').click();
  await part(page, 'discovery').getByRole('heading', { name: 'See how it is done' }).scrollIntoViewIfNeeded();
  await labwire.shot(page, 'discovery');
  assert.doesNotMatch(labwire.cli('session', 'ls', '--all'), /ospf-triangle/, 'nothing was started for her');
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(page.problems.filter((one) => !/status of 403/.test(one)), []);
});

test('a company’s people see the labs in its name, in their language, before and after they have lab time', async () => {
  const brand = ['Offered to Acme by Telecom Evolution', 'Offert à Acme par Telecom Evolution'];
  labwire.cli('site', 'set', 'acme', '--kind', 'company', '--brand', brand[0], '--brand-fr', brand[1]);
  const list = join(labwire.dir, 'acme.csv');
  writeFileSync(list, 'id,name,site\nrobin,Robin Acme,acme\n');
  labwire.cli('course', 'import', 'net', list);
  const page = await labwire.tab({ locale: 'fr-FR', width: 390, height: 844 });
  await page.goto(labwire.link('--learner', 'robin', '--name', 'Robin', '--lab', 'static-routes', '--plan', 'DISCOVERY'));
  await part(page, 'discovery').waitFor();
  await part(page, 'brand').getByText(brand[1], { exact: true }).waitFor();
  assert.deepEqual(await barriers(page), []);
  await labwire.shot(page, 'brand');
  await page.context().close();

  labwire.cli('grant', '--learner', 'robin', '--course', 'net', '--plan', 'QUALIFYING', '--seconds', '30');
  const later = await labwire.tab();
  await later.goto(labwire.link('--learner', 'robin', '--name', 'Robin', '--lab', 'static-routes'));
  await part(later, 'problem').waitFor();
  await part(later, 'brand').getByText(brand[0], { exact: true }).waitFor();
  labwire.cli('site', 'set', 'acme', '--no-brand');
  await later.reload();
  await part(later, 'offers').waitFor();
  await later.waitForLoadState('networkidle');
  assert.equal(await part(later, 'brand').count(), 0);
  assert.deepEqual(await barriers(later), []);
  await later.context().close();
});

test('on a phone, the word that most of the time is used leaves the title its room', async () => {
  labwire.cli('grant', '--learner', 'phone', '--course', 'net', '--plan', 'QUALIFYING', '--seconds', '150');
  const page = await labwire.tab({ width: 360, height: 740 });
  await page.goto(labwire.link('--learner', 'phone', '--name', 'Phone', '--lab', 'static-routes'));
  await part(page, 'workbench').waitFor({ timeout: READY_WITHIN_MS });
  const spent = part(page, 'time-spent');
  await spent.waitFor({ timeout: 150_000 });
  await labwire.shot(page, 'phone-time-spent');
  const [title, badge, left] = await Promise.all([part(page, 'title'), spent, part(page, 'time-left')].map((one) => one.boundingBox()));
  assert.ok(badge.y >= title.y + title.height, 'a line of its own, below the title');
  assert.ok(title.width >= 100, `the title has ${title.width} px of 360`);
  assert.ok(left.x + left.width <= 360, 'the rest of the time is inside the page');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, 'nothing is wider than the phone');
  await spent.locator('summary').click();
  await labwire.shot(page, 'phone-time-spent-open');
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('two minutes before the time is used up, the page warns', async () => {
  labwire.cli('grant', '--learner', 'denis', '--course', 'net', '--plan', 'QUALIFYING', '--seconds', '120');
  const page = await labwire.tab();
  await enter(page, labwire.link('--learner', 'denis', '--name', 'Denis Diderot', '--lab', 'static-routes'));
  const warning = part(page, 'time-warning');
  await warning.waitFor();
  assert.match(await warning.innerText(), /The lab stops in [12] minutes?/);
  await labwire.shot(page, 'warning');
  assert.deepEqual(await barriers(page), []);
  await part(page, 'stop').click();
  await part(page, 'stop-yes').click();
  await part(page, 'ended').waitFor({ timeout: 60_000 });
  assert.deepEqual(page.problems, []);
});

test('a link that was used, changed or is too old says which, and what to do, in French and in English', async () => {
  const page = await labwire.tab();
  const used = labwire.staff('teacher', 'Prof. Curie');
  await page.goto(used);
  await part(page, 'wall').waitFor();
  assert.deepEqual(await refusal(used, 'en-GB').then(({ code, text }) => [code, /already used/.test(text), /click the link again/.test(text)]), ['launch-already-used', true, true]);
  assert.deepEqual(await refusal(used, 'fr-FR').then(({ code, text }) => [code, /déjà (été )?(servi|utilisé)/.test(text), /[Cc]liquez|cliquez/.test(text)]), ['launch-already-used', true, true]);

  const fresh = labwire.staff('teacher', 'Prof. Noether');
  const end = fresh.at(-2) === 'A' ? 'B' : 'A';
  assert.equal((await refusal(fresh.slice(0, -2) + end + fresh.at(-1), 'fr-FR')).code, 'launch-forged');
  assert.equal((await refusal(fresh.slice(0, fresh.length / 2), 'en-GB')).code, 'launch-malformed');
  assert.equal((await refusal(`${labwire.url}/launch`, 'en-GB')).code, 'launch-no-token');

  const late = await refusal(aged(labwire.link('--learner', 'ada', '--name', 'Ada', '--lab', 'static-routes'), 3600), 'fr-FR');
  assert.equal(late.code, 'launch-expired');
  assert.match(late.text, /expiré/);
});

test('operations sees sessions, use and health, and no terminal', async () => {
  const page = await labwire.tab();
  emilie = await labwire.tab();
  await enter(emilie, labwire.learner('Emilie du Chatelet', 'static-routes'));
  await page.goto(labwire.staff('operations', 'Operations'));
  await part(page, 'ops-sessions').click();
  const row = page.getByTestId('sessions').getByRole('row').filter({ hasText: 'Emilie du Chatelet' });
  await row.waitFor();
  assert.match(await row.innerText(), /static-routes[\s\S]*QUALIFYING[\s\S]*Running/);
  await part(page, 'live-only').uncheck();
  await page.getByTestId('sessions').getByRole('row').filter({ hasText: 'Denis Diderot' }).waitFor();
  await labwire.shot(page, 'operations');
  assert.deepEqual(await barriers(page), []);

  await part(page, 'ops-usage').click();
  await page.getByTestId('usage').getByRole('row').filter({ hasText: 'denis' }).first().waitFor();
  const [file] = await Promise.all([page.waitForEvent('download'), part(page, 'usage-csv').click()]);
  assert.equal(file.suggestedFilename(), 'usage.csv');
  await labwire.shot(page, 'usage');
  assert.deepEqual(await barriers(page), []);

  await part(page, 'ops-health').click();
  await part(page, 'health').waitFor();
  const health = await part(page, 'health').innerText();
  assert.match(health, /OK[\s\S]*docker|docker[\s\S]*OK/i);
  assert.match(health, /It adds up/);
  await labwire.shot(page, 'health');
  assert.deepEqual(await barriers(page), []);
  assert.equal(await page.locator('.xterm').count(), 0);

  const [session] = labwire.cli('session', 'ls').match(/[0-9a-f]{8}-[0-9a-f-]{27}/);
  await page.goto(`${labwire.url}/watch/${session}`);
  await page.waitForFunction(() => document.querySelector('[data-testid="problem"]') ?? document.querySelector('.xterm'));
  assert.equal(await page.locator('.xterm').count(), 0, 'what people type is not for operations');
});

test('operations stops a session, and the learner is told by whom', async () => {
  const page = await labwire.tab();
  await page.goto(labwire.staff('operations', 'Operations'));
  await part(page, 'ops-sessions').click();
  await page.getByTestId('sessions').getByRole('row').filter({ hasText: 'Emilie' }).getByRole('button').click();
  await part(page, 'stop-yes').click();
  await part(emilie, 'ended').filter({ hasText: 'Your course team stopped the lab' }).waitFor({ timeout: 60_000 });
  assert.deepEqual(emilie.problems, []);
  assert.deepEqual(page.problems, []);
});

test('a lab that was withdrawn says so, and what to do next, in French and in English', async () => {
  const links = ['ada', 'bea'].map((id) => labwire.link('--learner', id, '--name', id, '--lab', 'static-routes'));
  assert.match(labwire.cli('lab', 'withdraw', 'static-routes'), /nobody can start it/);
  const [french, english] = [await refusal(links[0], 'fr-FR'), await refusal(links[1], 'en-GB')];
  assert.deepEqual([french.code, english.code], ['launch-lab-withdrawn', 'launch-lab-withdrawn']);
  assert.match(french.text, /Ce TP a été retiré.*Demandez à l’équipe du cours/s);
  assert.match(english.text, /This lab was withdrawn.*which lab takes its place/s);
  assert.match(labwire.cli('lab', 'withdraw', 'static-routes', '--undo'), /published again/);
  // the link was not used up
  const page = await labwire.tab();
  await page.goto(links[1]);
  await page.waitForURL(/\/lab/);
  await page.context().close();
});
