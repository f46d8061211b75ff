// Who has a right to labs and gets none now: why, what more would cost where somebody sells it, and the next step, in both languages.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Labwire, root } from '../labwire.mjs';
import { barriers, enter, part } from '../pages.mjs';

const PLANS = [
  'plans:',
  '  - {id: DAILY, name: {en: By the day, fr: À la journée}, labs: true, concurrency_max: 2, seconds: 36000, valid_days: 180, daily_secs_max: 600}',
  '  - {id: SINGLE, name: {en: One at a time, fr: Un à la fois}, labs: true, concurrency_max: 1, seconds: 36000, valid_days: 180, daily_secs_max: 600}',
  '  - id: ALL-DAY',
  '    name: {en: All day, fr: Toute la journée}',
  '    labs: true',
  '    concurrency_max: 3',
  '    seconds: 72000',
  '    valid_days: 365',
  '    offer: {price: {en: "€150", fr: "150 €"}, how: {en: Enrol in your course, fr: Inscrivez-vous dans votre cours}, url: "https://learn.example.org/enrol"}',
];

/** A zone where it is noon, give or take an hour: what is held for ten minutes is of one day, whenever this runs. */
function noon() {
  const ahead = 12 - new Date().getUTCHours();
  // the sign of these names is the other way round
  return ahead === 0 ? 'Etc/GMT' : `Etc/GMT${ahead > 0 ? '-' : '+'}${Math.abs(ahead)}`;
}

let labwire;
before(async () => {
  const shell = readFileSync(join(root, 'tests', 'src', 'shell-lab.yaml'), 'utf8');
  const another = shell.replace('id: shell', 'id: another').replace('A shell', 'Another shell').replace('Un shell', 'Un autre shell');
  labwire = await Labwire.start({ runtime: 'process', labs: [['shell', () => shell], ['another', () => another]], config: PLANS });
  labwire.cli('course', 'add', 'net', '--title', 'Networks in practice', '--zone', noon());
});
after(() => labwire?.stop());

const grant = (id, plan, seconds) => labwire.cli('grant', '--learner', id, '--course', 'net', '--plan', plan, '--seconds', String(seconds));
const link = (id, lab) => labwire.link('--learner', id, '--name', id, '--lab', lab);

/** What a learner reads instead of their lab, on a phone in French, on a laptop in English; kept as pictures. */
async function told(id, lab, code) {
  const said = {};
  for (const [language, locale, size] of [['fr', 'fr-FR', { width: 390, height: 844 }], ['en', 'en-GB', {}]]) {
    const page = await labwire.tab({ locale, ...size });
    await page.goto(link(id, lab));
    const problem = part(page, 'problem');
    await problem.waitFor();
    assert.equal(await problem.getAttribute('data-code'), code);
    await part(page, 'offers').waitFor();
    said[language] = await problem.innerText();
    assert.deepEqual(await barriers(page), []);
    await labwire.shot(page, `${code}-${language}`);
    assert.deepEqual(page.problems.filter((one) => !/status of 403/.test(one)), []);
    said.page = page;
    if (language === 'fr') await page.context().close();
  }
  return said;
}

test('who has used up their lab time is told what more costs and where, and starts by a code', async () => {
  grant('denis', 'DAILY', 30);
  const { fr, en, page } = await told('denis', 'shell', 'no-time');
  assert.match(fr, /Votre temps de TP pour ce cours est épuisé[\s\S]*Utilisez un code[\s\S]*Toute la journée[\s\S]*150 €[\s\S]*Inscrivez-vous dans votre cours/);
  assert.match(en, /Your lab time for this course is used up[\s\S]*Redeem a code[\s\S]*All day[\s\S]*€150[\s\S]*Enrol in your course/);
  assert.equal(await part(page, 'offers').getByRole('link').getAttribute('href'), 'https://learn.example.org/enrol');
  const [code] = labwire.cli('voucher', 'create', '--course', 'net', '--plan', 'ALL-DAY', '--count', '1', '--label', 'test').match(/[0-9A-Z]{4}(-[0-9A-Z]{4}){3}/);
  await part(page, 'voucher-code').fill(code);
  await part(page, 'voucher-redeem').click();
  await part(page, 'workbench').waitFor({ timeout: 60_000 });
  await page.context().close();
});

test('who has used their time of the day is told when there is more, and which plan allows more', async () => {
  grant('emilie', 'DAILY', 36000);
  const first = await labwire.tab();
  await enter(first, link('emilie', 'shell'));
  const { fr, en, page } = await told('emilie', 'another', 'daily-cap');
  assert.match(fr, /Votre temps de TP du jour est utilisé[\s\S]*10[\s\u00a0\u202f]min[\s\S]*par jour[\s\S]*à partir du[\s\S]*00:00[\s\S]*Un TP déjà lancé continue[\s\S]*Toute la journée[\s\S]*150 €/);
  assert.match(en, /Your lab time of today is used[\s\S]*10[\s\u00a0]min[\s\S]*a day[\s\S]*more from[\s\S]*(00:00|12:00\sAM)[\s\S]*A lab that runs already goes on[\s\S]*All day[\s\S]*€150/);
  assert.doesNotMatch(en, /One at a time/, 'a plan that allows no more is no help');
  assert.equal(await part(page, 'redeem').count(), 0, 'time is not what is missing');
  // as the page says: what runs goes on
  await part(first, 'workbench').waitFor();
  await page.context().close();
  await first.context().close();
});

test('who runs as many labs as their plan allows is led to the one that runs', async () => {
  grant('chloe', 'SINGLE', 36000);
  const first = await labwire.tab();
  await enter(first, link('chloe', 'shell'));
  const { fr, en, page } = await told('chloe', 'another', 'concurrency');
  assert.match(fr, /Un TP est déjà en cours[\s\S]*TP simultanés dans votre formule : 1[\s\S]*Revenez au TP en cours, ou arrêtez-le[\s\S]*Toute la journée[\s\S]*150 €/);
  assert.match(en, /You already have a lab running[\s\S]*Labs at once in your plan: 1[\s\S]*Go back to the running lab, or stop it[\s\S]*All day[\s\S]*€150/);
  await part(page, 'running-lab').click();
  await part(page, 'workbench').waitFor({ timeout: 30_000 });
  assert.match(labwire.cli('session', 'ls'), /shell/);
  assert.equal(labwire.cli('session', 'ls').match(/chloe/g).length, 1, 'the same lab, not another');
  await part(page, 'stop').click();
  await part(page, 'stop-yes').click();
  await part(page, 'ended').waitFor({ timeout: 60_000 });
  await first.context().close();
});
