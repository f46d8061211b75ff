// Staff: they sign in at an OpenID provider that is not ours, and each role has its own page. On the process runtime.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { eventually, Labwire, root } from '../labwire.mjs';
import { barriers, enter, part } from '../pages.mjs';

let labwire;
let provider;
const secret = join(tmpdir(), `labwire-staff-${process.pid}`);
before(async () => {
  const program = execFileSync(join(root, 'scripts', 'oidc'), ['provider'], { encoding: 'utf8' }).trim();
  writeFileSync(secret, 'a secret of the client', { mode: 0o600 });
  const config = ['lti: {private_hosts: ["127.0.0.1"]}'];
  const at = async (port) => {
    const url = `http://127.0.0.1:${port}`;
    provider = spawn('node', [program, `${url}/staff/callback`, 'userinfo'], { stdio: ['pipe', 'pipe', 'ignore'] });
    const [issuer] = await new Promise((go) => createInterface(provider.stdout).once('line', (line) => go([line])));
    config.push(
      `staff_login: {issuer: "${issuer}", client_id: labwire, client_secret_file: ${secret}, roles: [`,
      '  {group: ens-ospf, role: teacher, course: net}, {group: acme, role: manager, course: net}]}',
    );
    return url;
  };
  const shell = readFileSync(join(root, 'tests', 'src', 'shell-lab.yaml'), 'utf8');
  labwire = await Labwire.start({ runtime: 'process', labs: [['shell', () => shell]], config, at });
});
after(async () => {
  provider?.stdin.end();
  await labwire?.stop();
  rmSync(secret, { force: true });
});

/** A tab that signs in at the provider: its pages ask for fonts and icons that are not there, which is no fault of ours. */
async function tab(options) {
  const page = await labwire.tab(options);
  page.ignores = (url) => !url.startsWith(labwire.url);
  return page;
}

/** Through the provider's own forms, by keyboard. */
async function signIn(page, name) {
  await page.getByPlaceholder('Enter any login').fill(name);
  await page.getByPlaceholder('and password').fill('x');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Continue' }).waitFor();
  await page.getByRole('button', { name: 'Continue' }).click();
}

test('a teacher begins where nobody is signed in, and ends at the wall of their course', async () => {
  for (const locale of ['en-GB', 'fr-FR']) {
    const page = await tab({ locale, width: 390, height: 844 });
    await page.goto(labwire.url);
    const link = part(page, 'staff-login');
    assert.equal(await link.innerText(), locale === 'en-GB' ? 'Sign in as staff' : 'Se connecter (équipe)');
    assert.deepEqual(await barriers(page), []);
    await link.focus();
    await page.keyboard.press('Enter');
    await signIn(page, 'curie+ens-ospf');
    await part(page, 'wall-counts').waitFor();
    assert.equal(new URL(page.url()).pathname, '/teacher');
    assert.equal(await part(page, 'wall-link').innerText().then((t) => t.length > 0), true);
    assert.deepEqual(page.problems, []);
  }
});

test('whose sign-in is ended is told so, and comes back to the same place', async () => {
  const page = await tab();
  await page.goto(`${labwire.url}/staff/login`);
  await signIn(page, 'curie+ens-ospf');
  await part(page, 'wall-counts').waitFor();
  const place = `${labwire.url}/learner#subject=ada`;
  await page.goto(place);
  const [who] = labwire.cli('login', 'ls').match(/oidc:\S+#curie\S*/);
  assert.match(labwire.cli('login', 'revoke', '--person', who), /is ended/);
  await page.reload();
  await part(page, 'staff-ended').waitFor();
  assert.deepEqual(await barriers(page), []);
  // their organisation knows them still
  await part(page, 'staff-ended').locator('[data-testid=staff-login]').click();
  await eventually('she is signed in again', 10_000, () => labwire.cli('login', 'ls').includes(who));
  await page.waitForURL(place);
  await page.getByRole('heading').first().waitFor();
  assert.equal(await part(page, 'staff-ended').isVisible(), false);
});

test('who may be several things says as what, and has a tab of each', async () => {
  const page = await tab({ width: 390, height: 844 });
  await page.goto(`${labwire.url}/staff/login`);
  await signIn(page, 'noether+ens-ospf+acme');
  await page.getByRole('heading', { name: 'As what do you come?' }).waitFor();
  assert.deepEqual(await barriers(page), []);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'nothing is wider than a phone');
  // that page has no icon, and browsers ask for one
  page.problems = [];
  const [second] = await Promise.all([
    page.context().waitForEvent('page'),
    page.getByRole('link', { name: /Manager : net/ }).click({ modifiers: ['Control'] }),
  ]);
  await second.waitForURL('**/office');
  await page.getByRole('link', { name: /Teacher : net/ }).click();
  await part(page, 'wall-counts').waitFor();
  await part(second, 'progress-count').filter({ hasText: /learner/ }).waitFor();
  assert.deepEqual(page.problems, []);
});

test('who has no group that counts reads which ones they have, and pages of staff offer the sign-in', async () => {
  const page = await tab({ width: 390, height: 844 });
  await page.goto(`${labwire.url}/office`);
  await part(page, 'staff-login').click();
  await signIn(page, 'mallory+students');
  await page.getByText('staff-no-role', { exact: true }).waitFor();
  await page.getByText('students', { exact: true }).waitFor();
  assert.deepEqual(await barriers(page), []);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'nothing is wider than a phone');
});

test('a manager reads how far learners are, and the learner reads that they did', async () => {
  const ada = await tab();
  await enter(ada, labwire.learner('Ada Lovelace', 'shell'));
  const page = await tab({ width: 390, height: 844 });
  await page.goto(`${labwire.url}/staff/login`);
  await signIn(page, 'boss+acme');
  await part(page, 'progress').getByRole('row', { name: /Ada Lovelace/ }).waitFor();
  await part(page, 'progress-count').filter({ hasText: /1 learner/ }).waitFor();
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(page.problems, []);
  const denied = await page.evaluate(async () => {
    const kept = Object.values(sessionStorage).map((v) => { try { return JSON.parse(v); } catch { return null; } });
    const { bearer } = kept.find((v) => v?.bearer);
    const asked = ['/sessions', '/usage', '/operations'].map((path) => fetch(`/api/v1${path}`, { headers: { authorization: `Bearer ${bearer}` } }));
    return Promise.all(asked.map(async (answer) => (await answer).status));
  });
  assert.deepEqual(denied, [403, 403, 403], 'nothing but counts');
  await page.goto(`${labwire.url}/teacher`);
  await part(page, 'problem').waitFor();
  assert.equal(await part(page, 'wall-counts').count(), 0);
});

test('enrolment makes codes, uses one for somebody, and withdraws the rest', async () => {
  const page = await tab();
  await page.goto(labwire.staff('enrolment', 'Rosalind Registry'));
  await part(page, 'batch-label').fill('ESP Dakar');
  await part(page, 'batch-count').fill('2');
  await part(page, 'batch-make').click();
  const codes = (await part(page, 'batch-codes').inputValue()).split('\n');
  assert.equal(codes.length, 2);
  // who is nobody is said to be so, and costs nothing
  await part(page, 'person-id').fill('zoe');
  await part(page, 'person-code').fill(codes[0]);
  await part(page, 'person-redeem').click();
  await eventually('nobody is called zoe yet', 10_000, async () => (await part(page, 'problem').getAttribute('data-code')) === 'learner-unknown');
  page.problems = [];
  const zoe = await tab();
  await zoe.goto(labwire.link('--learner', 'zoe', '--lab', 'shell'));
  await zoe.waitForURL('**/lab');
  await part(page, 'person-redeem').click();
  await part(page, 'person-grants').getByRole('row', { name: /QUALIFYING/ }).waitFor();
  await part(page, 'batch-revoke').click();
  await part(page, 'batch-reason').fill('lost in the post');
  await page.keyboard.press('Enter');
  await page.getByText(/Withdrawn/).waitFor();
  await part(page, 'person-code').fill(codes[1]);
  await part(page, 'person-redeem').click();
  await eventually('the refusal is shown', 10_000, async () => (await part(page, 'problem').getAttribute('data-code')) === 'voucher-revoked');
  assert.deepEqual(await barriers(page), []);
  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'nothing is wider than a phone');
});

test('a sponsor sees the sums of their own statement, an author the labs', async () => {
  const sponsor = await tab({ width: 390, height: 844, locale: 'fr-FR' });
  await sponsor.goto(labwire.link('--learner', 'esp', '--name', 'ESP Dakar', '--role', 'sponsor', '--sponsor', 'esp'));
  await part(sponsor, 'statement-show').click();
  await part(sponsor, 'statement-sums').waitFor();
  assert.equal(await part(sponsor, 'statement-id').count(), 0, 'nobody else’s can be asked for');
  assert.deepEqual(await barriers(sponsor), []);
  assert.deepEqual(sponsor.problems, []);
  const author = await tab();
  await author.goto(labwire.staff('author', 'Jon Postel'));
  await part(author, 'lab-ospf-triangle').getByText('ospf-triangle').click();
  await part(author, 'lab-ospf-triangle').getByRole('listitem').first().waitFor();
  assert.deepEqual(await barriers(author), []);
  assert.deepEqual(author.problems, []);
});
