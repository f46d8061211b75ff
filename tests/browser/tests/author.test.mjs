// Who answers for a lab tries it as its learner would have it, and reads how a course went. On the process runtime.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, Labwire, root } from '../labwire.mjs';
import { barriers, enter, part, READY_WITHIN_MS } from '../pages.mjs';

let labwire;
before(async () => {
  const shell = readFileSync(join(root, 'tests', 'src', 'shell-lab.yaml'), 'utf8');
  // its check passes at once, so that somebody is done
  const easy = shell.replace(/test -e "\$HOME\/made"/, 'true');
  const second = easy.replace('id: shell', 'id: second');
  labwire = await Labwire.start({ runtime: 'process', labs: [['shell', () => easy], ['second', () => second]] });
});
after(() => labwire?.stop());

const fits = (page) => eventually('nothing is wider than the window', 5_000, () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));

/** Opens a test run by keyboard, and waits until it can be typed in. */
async function tries(page, lab) {
  await part(page, `lab-${lab}`).locator('summary').focus();
  await page.keyboard.press('Enter');
  await part(page, `try-${lab}`).focus();
  const [tab] = await Promise.all([page.context().waitForEvent('page'), page.keyboard.press('Enter')]);
  tab.setDefaultTimeout(30_000);
  return tab;
}

async function checksPass(page) {
  await page.getByRole('tab', { name: /Checks|Vérifications/ }).click();
  await part(page, 'run-checks').click();
  await eventually('the check passes', 20_000, async () => (await part(page, 'check-made').getAttribute('data-passed')) === 'true');
}

test('an author tries a lab in a tab of its own, and nobody is billed', async () => {
  const author = await labwire.tab();
  await author.goto(labwire.staff('author', 'Jon Postel'));
  await part(author, 'office').waitFor();
  const run = await tries(author, 'shell');
  await part(run, 'workbench').waitFor({ timeout: READY_WITHIN_MS });
  await part(run, 'test-run').waitFor();
  assert.deepEqual(await barriers(run), []);
  await labwire.shot(run, 'test-run');
  assert.equal(await part(run, 'time-spent').count(), 0, 'nothing is spent');
  await checksPass(run);
  // one at a time: the second leads back to the first
  const other = await tries(author, 'second');
  await part(other, 'running-lab').waitFor();
  assert.equal(await part(other, 'problem').getAttribute('data-code'), 'concurrency');
  assert.deepEqual(await barriers(other), []);
  await other.close();
  await run.setViewportSize({ width: 390, height: 844 });
  await fits(run);
  await part(run, 'stop').click();
  await part(run, 'stop-yes').click();
  await part(run, 'ended').waitFor();
  // the author's own tab is theirs still
  await author.reload();
  await part(author, 'lab-shell').waitFor();
  assert.deepEqual(author.problems, []);
  const usage = await eventually('the test run is settled', 20_000, () => {
    const rows = JSON.parse(labwire.cli('usage', '--format', 'json'));
    return rows.length ? rows : null;
  });
  const [row] = usage;
  assert.deepEqual([row.course, row.billed_seconds, row.unbilled_reason], ['test-runs', 0, 'test-run']);
  assert.equal(row.unbilled_seconds, row.sandbox_seconds);
  // fails when a second is not accounted for
  labwire.cli('reconcile');
});

test('a test run from the command line opens once', async () => {
  const link = labwire.cli('lab', 'try', 'second', '--as', 'perrin', '--name', 'Prof. Perrin').match(/https?:\S+/)[0];
  const page = await labwire.tab({ locale: 'fr-FR' });
  await page.goto(link);
  await part(page, 'workbench').waitFor({ timeout: READY_WITHIN_MS });
  assert.equal(await part(page, 'test-run').innerText(), 'Essai');
  assert.deepEqual(page.problems, []);
  assert.throws(() => labwire.cli('lab', 'try', 'nowhere', '--as', 'perrin'), /not published/);
});

test('a teacher and a manager read how the course went, beside the others, and take it with them', async () => {
  const ada = await labwire.tab();
  await enter(ada, labwire.learner('Ada Lovelace', 'shell'));
  await checksPass(ada);
  labwire.cli('grant', '--learner', 'bob', '--course', 'net', '--plan', 'QUALIFYING', '--seconds', '60');
  const week = 7 * 86_400_000;
  labwire.cli('course', 'add', 'net', '--title', 'Networks in practice', '--opens', new Date(Date.now() - 2.5 * week).toISOString().replace(/\.\d+Z/, '+00:00'));
  labwire.cli('course', 'add', 'lan', '--title', 'Local networks');
  labwire.cli('course', 'series', 'set', 'networks', 'net', 'lan');
  const teacher = await labwire.tab();
  await teacher.goto(labwire.staff('teacher', 'Marie Curie'));
  await part(teacher, 'to-office').click();
  await part(teacher, 'no-rule').waitFor();
  assert.deepEqual(await barriers(teacher), []);
  // what counts is the teacher's to say
  await part(teacher, 'rule').locator('summary').click();
  await part(teacher, 'rule-first-shell').check();
  await part(teacher, 'rule-second').selectOption('shell');
  await part(teacher, 'rule-pass').fill('60');
  assert.deepEqual(await barriers(teacher), []);
  await labwire.shot(teacher, 'course-rule');
  await part(teacher, 'rule-keep').click();
  await part(teacher, 'numbers').getByText('Diligent: did shell and shell. Success: 60 % of the course’s grade.').waitFor();
  assert.match(labwire.cli('course', 'indicators', 'net'), /diligent success +1 +100\.0 %/);
  labwire.cli('course', 'indicators', 'lan', '--first-week', 'shell', '--second-week', 'second', '--keep');
  for (const [role, locale, share] of [['teacher', 'en-GB', /^50\.0%$/], ['manager', 'fr-FR', /^50,0\s%$/]]) {
    const page = await labwire.tab({ locale, height: 1400 });
    await page.goto(labwire.staff(role, 'Irène Joliot'));
    if (role === 'teacher') await part(page, 'to-office').click();
    const started = part(page, 'indicators').getByRole('row').nth(2);
    assert.equal(await started.getByRole('cell').first().innerText(), '1');
    assert.match(await started.getByRole('cell').nth(1).innerText(), share);
    assert.equal(await part(page, 'courses').getByRole('row').count(), 5, 'a head, two courses, their mean, and all together');
    const done = part(page, 'progression').getByRole('row').nth(1);
    assert.deepEqual(await done.getByRole('cell').allInnerTexts(), ['1', '0', '0', '1'], 'in the week that is not over');
    assert.equal(await part(page, 'funnel').getByRole('row').count(), 3);
    assert.equal((await part(page, 'numbers').innerText()).includes('Ada'), false, 'nobody is named');
    assert.deepEqual(await barriers(page), []);
    await labwire.shot(page, `course-counts-${locale.slice(0, 2)}`);
    const [file] = await Promise.all([page.waitForEvent('download'), part(page, 'csv-courses').click()]);
    assert.match(readFileSync(await file.path(), 'utf8'), /^course,enrolled,[^\n]*\r\nnet,2,1,1,1,1,50\.0,/);
    await page.setViewportSize({ width: 390, height: 844 });
    await fits(page);
    assert.deepEqual(page.problems, []);
  }
  assert.match(labwire.cli('course', 'progression', 'net', '--csv'), /\r\nnet,shell,1,0,0,1\r\n/);
  assert.match(labwire.cli('course', 'series', 'show', 'networks'), /mean of courses/);
  assert.match(labwire.cli('course', 'funnel', '--series', 'networks', '--csv'), /\r\nnet,1,1,100\.0\r\nlan,0,0,0\.0\r\n/);
});
