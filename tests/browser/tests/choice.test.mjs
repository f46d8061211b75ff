// A teacher who chooses a lab from within a course (LTI deep linking), in a frame of the platform's page, on a phone, by the keyboard alone.
import assert from 'node:assert/strict';
import { createPublicKey, createVerify } from 'node:crypto';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { eventually, Labwire } from '../labwire.mjs';
import { CLAIM_DL, Platform } from '../platform.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let labwire, platform;
before(async () => {
  platform = await Platform.start({ tool: () => labwire.url });
  labwire = await Labwire.start({ runtime: 'process', config: ['lti: {private_hosts: ["127.0.0.1"]}'] });
  platform.register(labwire);
});
after(async () => {
  await labwire?.stop();
  platform?.stop();
});

/** The claims of a choice, verified by the keys that the tool publishes. */
async function verified(token) {
  const [header, payload, signature] = token.split('.');
  const read = (part) => JSON.parse(Buffer.from(part, 'base64url'));
  const { keys } = await fetch(`${labwire.url}/lti/jwks`).then((r) => r.json());
  const key = createPublicKey({ key: keys.find((k) => k.kid === read(header).kid), format: 'jwk' });
  assert.ok(createVerify('sha256').update(`${header}.${payload}`).verify(key, signature, 'base64url'), 'signed by the tool');
  return read(payload);
}

async function picker(page) {
  await page.goto(`${platform.url}/course?block=choose`);
  const frame = await eventually('the picker is in the frame', 30_000, async () => {
    const inner = page.frames()[1];
    return inner?.url() === `${labwire.url}/lti/launch` && (await inner.locator('#search').isVisible()) ? inner : null;
  });
  return frame;
}

test('a teacher on a phone chooses a lab by the keyboard alone, in the frame of a course', async () => {
  const page = await labwire.tab({ width: 390, height: 844, locale: 'fr-FR' });
  const frame = await picker(page);
  const here = () => frame.evaluate(() => document.activeElement.id || document.activeElement.name || document.activeElement.localName);
  const tabTo = async (what) => {
    for (let n = 0; n < 60; n += 1) {
      await page.keyboard.press('Tab');
      if ((await here()) === what) return;
    }
    assert.fail(`${what} is not reached by Tab`);
  };
  assert.equal(await frame.locator('h1').innerText(), 'Choisir un lab pour le cours', 'the browser’s language');
  await tabTo('lang-fr');
  await page.keyboard.press('ArrowRight');
  assert.equal(await frame.locator('h1').innerText(), 'Choose a lab for the course');
  assert.equal(await frame.evaluate(() => document.documentElement.lang), 'en');
  const all = await frame.locator('ul.labs > li:visible').count();

  await tabTo('search');
  await page.keyboard.type('ROUTES statiques');
  await page.keyboard.press('Enter');
  assert.deepEqual(await frame.locator('ul.labs > li:visible input').evaluateAll((found) => found.map((f) => f.value)), ['static-routes'], `of ${all}; by the title in either language`);
  assert.equal((await frame.locator('#found').innerText()).trim(), '1 lab');
  await tabTo('lab-static-routes');
  await page.keyboard.press('Space');
  await tabTo('summary');
  await page.keyboard.press('Enter');
  const preview = await frame.locator('ul.labs > li:visible details').innerText();
  assert.match(preview, /Nodes[\s\S]*Checks[\s\S]*point/);
  assert.ok(await frame.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than a phone');
  await labwire.shot(page, 'choice-phone');

  await frame.evaluate(axe);
  const { violations } = await frame.evaluate(() => globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }));
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`), []);

  await tabTo('column');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await eventually('the platform keeps the choice', 30_000, () => frame.locator('#kept').isVisible());
  const [{ query, token }] = platform.choices;
  assert.equal(query, '?course=7&x=;', 'the platform’s own query');
  const claims = await verified(token);
  assert.equal(claims[`${CLAIM_DL}data`], 'é&"');
  const [item] = claims[`${CLAIM_DL}content_items`];
  assert.deepEqual([item.url, item.custom, item.lineItem.resourceId], [`${labwire.url}/lti/labs/static-routes`, { lab: 'static-routes' }, 'static-routes']);
  assert.ok(item.lineItem.scoreMaximum > 0);
  assert.deepEqual(page.problems, []);
});

test('a choice that is cancelled comes back empty', async () => {
  const page = await labwire.tab({ width: 1024, height: 900 });
  const frame = await picker(page);
  await labwire.shot(page, 'choice');
  platform.choices.length = 0;
  await frame.locator('button[name=cancel]').click();
  await eventually('the platform hears of it', 30_000, () => platform.choices.length === 1);
  assert.deepEqual((await verified(platform.choices[0].token))[`${CLAIM_DL}content_items`], []);
});
