// A teacher who chooses a lab from within a course (LTI deep linking), in a frame of the platform's page, on a phone, by the keyboard alone.
import assert from 'node:assert/strict';
import { createPublicKey, createSign, createVerify, generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, Labwire } from '../labwire.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const CLAIM = 'https://purl.imsglobal.org/spec/lti/claim/';
const CLAIM_DL = 'https://purl.imsglobal.org/spec/lti-dl/claim/';

/** A platform: a course page that frames the tool, signed requests, and the address where choices arrive. */
class Platform {
  static async start(tool) {
    const me = new Platform();
    me.keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
    me.choices = [];
    me.server = createServer((request, response) => me.answer(tool(), request, response));
    await new Promise((go) => me.server.listen(0, '127.0.0.1', go));
    me.url = `http://127.0.0.1:${me.server.address().port}`;
    return me;
  }

  jwks() {
    return JSON.stringify({ keys: [{ ...this.keys.publicKey.export({ format: 'jwk' }), kid: 'k1' }] });
  }

  token(nonce, target) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: this.url, aud: 'client-1', sub: 'zoe', nonce, iat: now, exp: now + 600,
      [`${CLAIM}version`]: '1.3.0', [`${CLAIM}message_type`]: 'LtiDeepLinkingRequest', [`${CLAIM}deployment_id`]: '1',
      [`${CLAIM}target_link_uri`]: target, [`${CLAIM}roles`]: ['http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor'],
      [`${CLAIM_DL}deep_linking_settings`]: { deep_link_return_url: `${this.url}/return?course=7&x=;`, accept_types: ['ltiResourceLink'], data: 'é&"' },
    };
    const text = `${part({ alg: 'RS256', kid: 'k1' })}.${part(claims)}`;
    return `${text}.${createSign('sha256').update(text).sign(this.keys.privateKey, 'base64url')}`;
  }

  async answer(tool, request, response) {
    const url = new URL(request.url, this.url);
    const page = (html) => response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(`<!doctype html><html lang="en"><title>A course</title>${html}`);
    const target = `${tool}/lti/launch`;
    if (url.pathname === '/course') {
      const login = new URLSearchParams({ iss: this.url, client_id: 'client-1', login_hint: 'zoe', target_link_uri: target });
      page(`<iframe title="Lab" style="border:0;width:100%;height:1400px" src="${tool}/lti/login?${login.toString().replaceAll('&', '&amp;')}"></iframe>`);
    } else if (url.pathname === '/auth') {
      const [state, nonce] = ['state', 'nonce'].map((name) => url.searchParams.get(name));
      page(`<form method="post" action="${url.searchParams.get('redirect_uri')}"><input name="state" value="${state}"><input name="id_token" value="${this.token(nonce, target)}"></form><script>document.forms[0].submit()</script>`);
    } else if (url.pathname === '/return') {
      let body = '';
      for await (const chunk of request) body += chunk;
      this.choices.push({ query: url.search, token: new URLSearchParams(body).get('JWT') });
      page('<p id="kept">Kept.</p>');
    } else {
      // a picture for the tab is what browsers ask for beside
      response.writeHead(url.pathname === '/favicon.ico' ? 204 : 404).end();
    }
  }
}

let labwire, platform;
before(async () => {
  platform = await Platform.start(() => labwire.url);
  labwire = await Labwire.start({ runtime: 'process', config: ['lti: {private_hosts: ["127.0.0.1"]}'] });
  const keys = join(labwire.dir, 'jwks.json');
  writeFileSync(keys, platform.jwks());
  const { url } = platform;
  labwire.cli('lti', 'add', 'lms', '--issuer', url, '--client-id', 'client-1', '--auth-url', `${url}/auth`, '--token-url', `${url}/token`, '--jwks-file', keys, '--deployment', '1');
});
after(async () => {
  await labwire?.stop();
  platform?.server.close();
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
  await page.goto(`${platform.url}/course`);
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
