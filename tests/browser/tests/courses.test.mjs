// A course's dates and people, in a real Chromium: the day in the learner's language, the teacher's way from the wall to a learner's page, on a phone and by keys.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Labwire, root } from '../labwire.mjs';
import { barriers, enter, part, READY_WITHIN_MS } from '../pages.mjs';

const LIST = 'Identifiant;Nom;Cohorte;Tuteur;Formule\r\nadalovelace;Ada Œuvrard;Été;profcurie;QUALIFYING\r\nbob;Bob;Automne;;\r\n';

let labwire;
before(async () => {
  const shell = readFileSync(join(root, 'tests', 'src', 'shell-lab.yaml'), 'utf8');
  labwire = await Labwire.start({ runtime: 'process', labs: [['shell', () => shell]] });
  const list = join(labwire.dir, 'class.csv');
  writeFileSync(list, LIST);
  labwire.cli('course', 'import', 'net', list);
});
after(() => labwire?.stop());

test('a course that has not begun says when it does, in the learner’s language and the course’s zone', async () => {
  labwire.cli('course', 'add', 'net', '--title', 'Réseaux', '--opens', '2099-03-01T08:00:00+01:00', '--zone', 'Europe/Paris');
  const french = await labwire.tab({ locale: 'fr-FR', width: 390, height: 844 });
  await french.goto(labwire.link('--learner', 'adalovelace', '--lab', 'shell'));
  await part(french, 'course-day').waitFor();
  assert.match(await part(french, 'problem').innerText(), /Le cours n’a pas commencé[\s\S]*Réseaux : [\s\S]*1 mars 2099[\s\S]*08:00/);
  assert.deepEqual(await barriers(french), []);
  await labwire.shot(french, 'course-not-open');
  labwire.cli('course', 'add', 'net', '--opens', 'always', '--closes', '2026-01-01T00:00:00+01:00');
  await part(french, 'retry').click();
  await french.getByText('Le cours est terminé').waitFor();
  assert.match(await part(french, 'course-day').innerText(), /1 janvier 2026/);
  labwire.cli('course', 'add', 'net', '--closes', 'never');
  await french.context().close();
});

test('a teacher goes from a card to the learner’s page, and narrows the wall to their own', async () => {
  const ada = await labwire.tab();
  await enter(ada, labwire.link('--learner', 'adalovelace', '--name', 'Ada Lovelace', '--lab', 'shell'));
  const wall = await labwire.tab();
  await wall.goto(labwire.staff('teacher', 'Prof Curie'));
  await wall.getByRole('link', { name: /^About Ada/ }).waitFor();
  await part(wall, 'wall-group').selectOption('cohort:Automne');
  await part(wall, 'wall-empty').waitFor();
  await part(wall, 'wall-group').selectOption('mine');
  const about = wall.getByRole('link', { name: /^About Ada/ });
  await about.focus();
  await wall.keyboard.press('Enter');
  await part(wall, 'facts').waitFor();
  assert.doesNotMatch(new URL(wall.url()).pathname, /ada/, 'whom it is about goes to no server');
  assert.match(await part(wall, 'facts').innerText(), /adalovelace[\s\S]*Été[\s\S]*profcurie \(you\)/);
  assert.match(await part(wall, 'grants').innerText(), /QUALIFYING[\s\S]*the course’s list/);
  assert.equal(await part(wall, 'labs').getByRole('link', { name: /^Watch shell/ }).count(), 1);
  assert.match(await part(wall, 'looks').innerText(), /Prof Curie \(teacher\)[\s\S]*wall/);
  assert.deepEqual(await barriers(wall), []);
  await wall.setViewportSize({ width: 390, height: 844 });
  const wide = await wall.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${wide} px wider than a phone`);
  assert.deepEqual(await barriers(wall), []);
  await labwire.shot(wall, 'learner-page-phone');
  assert.deepEqual(wall.problems, []);
  await ada.context().close();
  await wall.context().close();
});

test('who comes after the end finds their replays, and the lab that ran to its end among them', async () => {
  const tab = await labwire.tab();
  await enter(tab, labwire.link('--learner', 'adalovelace', '--name', 'Ada Lovelace', '--lab', 'shell'));
  labwire.cli('course', 'close', 'net');
  await tab.reload();
  await part(tab, 'workbench').waitFor();
  await part(tab, 'stop').click();
  await part(tab, 'stop-yes').click();
  await part(tab, 'ended').waitFor({ timeout: READY_WITHIN_MS });
  await tab.goto(labwire.link('--learner', 'adalovelace', '--lab', 'shell'));
  await part(tab, 'own-replays').waitFor();
  assert.deepEqual(await barriers(tab), []);
  await part(tab, 'own-replays').getByRole('link', { name: /^shell/ }).first().click();
  await tab.waitForURL(/\/replay\//);
  await part(tab, 'player').waitFor();
  await tab.context().close();
});
