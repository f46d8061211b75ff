// Setting a learning platform up from the operations page: by key and secret, by an invitation, and reading why a launch was refused.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Labwire, root } from '../labwire.mjs';
import { barriers, part, READY_WITHIN_MS, run } from '../pages.mjs';
import { Platform } from '../platform.mjs';

let labwire, platform;
before(async () => {
  const shell = readFileSync(join(root, 'tests', 'src', 'shell-lab.yaml'), 'utf8');
  platform = await Platform.start({ tool: () => labwire.url });
  labwire = await Labwire.start({
    runtime: 'process', labs: [['shell', () => shell]],
    config: ['lti: {private_hosts: [127.0.0.1]}', `http: {frame_ancestors: ["${platform.url}"]}`],
  });
});
after(async () => {
  await labwire?.stop();
  platform?.stop();
});

async function platforms(more) {
  const page = await labwire.tab(more);
  await page.goto(labwire.staff('operations', 'Grace Hopper'));
  await part(page, 'ops-platforms').click();
  await part(page, 'lti-add').waitFor();
  return page;
}

test('a key and its secret are made on the page, shown once, and what to paste stands beside', async () => {
  const page = await platforms({ height: 1600 });
  await part(page, 'lti-way-key').check();
  await part(page, 'lti-name').fill('fun');
  await part(page, 'lti-key').fill('imt-net101');
  await part(page, 'lti-plan').fill('GOLD');
  await part(page, 'lti-add-yes').click();
  await page.getByText('plan GOLD does not exist').waitFor();
  await part(page, 'lti-plan').fill('QUALIFYING');
  await part(page, 'lti-add-yes').click();
  await part(page, 'lti-said').waitFor();
  const passport = /fun:imt-net101:([0-9a-f]{64})/;
  const secret = passport.exec(await part(page, 'lti-add').innerText())[1];
  await labwire.shot(page, 'platforms-added');
  await page.reload();
  await part(page, 'lti-paste-fun').click();
  const guides = part(page, 'lti-guides');
  await guides.getByText('Open edX Studio, LTI 1.1').waitFor();
  assert.ok(!(await page.content()).includes(secret), 'a secret is shown once');
  await part(page, 'lti-lab').selectOption('shell');
  await guides.getByText(/\/lti\/labs\/[0-9a-f-]{36}/).first().waitFor();
  await part(page, 'lti-seen-fun').getByText('Open a lab from the course: its launch shows here.').waitFor();
  assert.deepEqual(await barriers(page), []);
});

test('a platform registers itself in its own frame, waits for a yes, and its learner has a terminal then', async () => {
  const page = await platforms({ locale: 'fr-FR', height: 1600 });
  await part(page, 'lti-name').fill('campus');
  await part(page, 'lti-plan').fill('QUALIFYING');
  await part(page, 'lti-add-yes').click();
  const address = await part(page, 'guide').locator('code').filter({ hasText: '/lti/register' }).innerText();

  const admin = await labwire.tab();
  await admin.goto(`${platform.url}/tools?${new URLSearchParams({ address })}`);
  const frame = admin.frameLocator('iframe');
  await frame.getByText('campus 1').waitFor();
  await labwire.shot(admin, 'platforms-registered');
  await frame.getByRole('button', { name: /Close/ }).click();
  await admin.getByText('Closed.').waitFor();
  assert.equal(platform.tools.length, 1);
  assert.equal(platform.tools[0].bearer, 'Bearer reg.1');

  const learner = await labwire.tab();
  await learner.goto(`${platform.url}/course?block=shell`);
  await learner.frameLocator('iframe').getByText('lti-platform-unknown').waitFor();

  await page.reload();
  await part(page, 'lti-waiting').getByText(platform.url, { exact: true }).waitFor();
  await part(page, 'lti-refused').getByText('lti-platform-unknown').first().waitFor();
  await labwire.shot(page, 'platforms-waiting');
  assert.deepEqual(await barriers(page), []);
  await part(page, 'lti-yes-campus').click();
  await part(page, 'lti-paste-campus').waitFor();
  assert.equal(await part(page, 'lti-waiting').count(), 0);

  await learner.reload();
  const lab = learner.frame('shell');
  await part(lab, 'workbench').waitFor({ timeout: READY_WITHIN_MS });
  await run(lab, 'sh', ['echo answer-$((6 * 7))'], /answer-42/);

  // the launch before the yes named this platform: it is past now, and one by a wrong client id is not
  await page.reload();
  const seen = part(page, 'lti-seen-campus');
  await seen.getByText('remarche').waitFor();
  await seen.getByText(/Dernier lancement accepté/).waitFor();
  await seen.getByText('aucune jusqu’ici').waitFor();
  await seen.getByText(/labwire lti test campus/).waitFor();
  const wrong = new URLSearchParams({ iss: platform.url, login_hint: 'h', client_id: 'mistyped', target_link_uri: `${labwire.url}/lti/launch` });
  await learner.goto(`${labwire.url}/lti/login?${wrong}`);
  await learner.getByText('lti-platform-unknown').first().waitFor();
  await page.reload();
  await seen.getByText('refusée depuis').waitFor();
  await seen.getByText(`nomme « ${platform.url} »`).waitFor();
  await seen.getByText(/comparez l’enregistrement avec ce que montre la plateforme/).waitFor();
  assert.deepEqual(await barriers(page), []);
});

test('the page of platforms is whole on a phone', async () => {
  const page = await platforms({ width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 390, `${wide} px`);
  await labwire.shot(page, 'platforms-phone');
  assert.deepEqual(await barriers(page), []);
});
