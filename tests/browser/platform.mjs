// A learning platform for the browser's tests: a course page with blocks in frames, signed answers (LTI 1.3), a place for what tools keep
// (LTI postMessage storage), and the address where choices arrive.
import { createSign, generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const CLAIM = 'https://purl.imsglobal.org/spec/lti/claim/';
export const CLAIM_DL = 'https://purl.imsglobal.org/spec/lti-dl/claim/';
const ROLE = 'http://purl.imsglobal.org/vocab/lis/v2/membership#';

/** Keeps what a tool puts and gives it back, as the standard says; loaded by the course page where the platform offers it. */
const STORAGE = `const kept = new Map();
addEventListener('message', ({ data, source, origin }) => {
  if (data?.subject === 'lti.put_data') kept.set(data.key, data.value);
  else if (data?.subject !== 'lti.get_data') return;
  globalThis.asked = (globalThis.asked ?? 0) + 1;
  source.postMessage({ subject: data.subject + '.response', message_id: data.message_id, key: data.key, value: kept.get(data.key) }, origin);
});`;

export class Platform {
  /** `tool`: gives Labwire's address. `host`: its own name. `tls`: key and certificate, where it speaks TLS. */
  static async start({ tool, host = '127.0.0.1', tls }) {
    const me = new Platform();
    me.tool = tool;
    me.keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
    me.choices = [];
    me.tools = [];
    const answer = (request, response) => me.answer(request, response);
    me.server = tls ? createTlsServer(tls, answer) : createServer(answer);
    await new Promise((go) => me.server.listen(0, '127.0.0.1', go));
    me.port = me.server.address().port;
    me.url = `${tls ? 'https' : 'http'}://${host}:${me.port}`;
    return me;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  /** Tells Labwire of it. */
  register(labwire, ...more) {
    const keys = join(labwire.dir, 'jwks.json');
    writeFileSync(keys, JSON.stringify(this.jwks()));
    const { url } = this;
    labwire.cli('lti', 'add', 'lms', '--issuer', url, '--client-id', 'client-1', '--auth-url', `${url}/auth`, '--token-url', `${url}/token`, '--jwks-file', keys, '--deployment', '1', ...more);
  }

  jwks() {
    return { keys: [{ ...this.keys.publicKey.export({ format: 'jwk' }), kid: 'k1' }] };
  }

  /** What it says of itself to tools that register themselves. */
  description() {
    const { url } = this;
    return {
      issuer: url, authorization_endpoint: `${url}/auth`, token_endpoint: `${url}/token`, jwks_uri: `${url}/keys`, registration_endpoint: `${url}/register`,
      id_token_signing_alg_values_supported: ['RS256'], 'https://purl.imsglobal.org/spec/lti-platform-configuration': { product_family_code: 'campus', version: '1' },
    };
  }

  /** Where a block's launch leads: `choose`, or a lab's id. */
  target(block) {
    return block === 'choose' ? `${this.tool()}/lti/launch` : `${this.tool()}/lti/labs/${block}`;
  }

  token(nonce, block) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Math.floor(Date.now() / 1000);
    const common = {
      iss: this.url, aud: 'client-1', sub: 'zoe', name: 'Zoë Côté', nonce, iat: now, exp: now + 600,
      [`${CLAIM}version`]: '1.3.0', [`${CLAIM}deployment_id`]: '1', [`${CLAIM}target_link_uri`]: this.target(block),
    };
    const choosing = {
      [`${CLAIM}message_type`]: 'LtiDeepLinkingRequest', [`${CLAIM}roles`]: [`${ROLE}Instructor`],
      [`${CLAIM_DL}deep_linking_settings`]: { deep_link_return_url: `${this.url}/return?course=7&x=;`, accept_types: ['ltiResourceLink'], data: 'é&"' },
    };
    const working = {
      [`${CLAIM}message_type`]: 'LtiResourceLinkRequest', [`${CLAIM}roles`]: [`${ROLE}Learner`], [`${CLAIM}resource_link`]: { id: `block-${block}` },
    };
    const text = `${part({ alg: 'RS256', kid: 'k1' })}.${part({ ...common, ...(block === 'choose' ? choosing : working) })}`;
    return `${text}.${createSign('sha256').update(text).sign(this.keys.privateKey, 'base64url')}`;
  }

  /** The course page frames each `block` of its query; with `storage` it keeps what tools put. */
  course(url) {
    const storage = url.searchParams.has('storage');
    const frame = (block) => {
      const login = new URLSearchParams({ iss: this.url, client_id: 'client-1', login_hint: 'zoe', lti_message_hint: block, target_link_uri: this.target(block) });
      if (storage) login.set('lti_storage_target', '_parent');
      return `<iframe name="${block}" title="Lab ${block}" style="border:0;width:100%;height:1400px" src="${this.tool()}/lti/login?${login.toString().replaceAll('&', '&amp;')}"></iframe>`;
    };
    return `${storage ? `<script>${STORAGE}</script>` : ''}${url.searchParams.getAll('block').map(frame).join('')}`;
  }

  async answer(request, response) {
    const url = new URL(request.url, this.url);
    const page = (html) => response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(`<!doctype html><html lang="en"><title>A course</title>${html}`);
    if (url.pathname === '/course') {
      page(this.course(url));
    } else if (url.pathname === '/auth') {
      const [state, nonce, block, to] = ['state', 'nonce', 'lti_message_hint', 'redirect_uri'].map((name) => url.searchParams.get(name));
      page(`<form method="post" action="${to}"><input name="state" value="${state}"><input name="id_token" value="${this.token(nonce, block)}"></form><script>document.forms[0].submit()</script>`);
    } else if (url.pathname === '/return') {
      let body = '';
      for await (const chunk of request) body += chunk;
      this.choices.push({ query: url.search, token: new URLSearchParams(body).get('JWT') });
      page('<p id="kept">Kept.</p>');
    } else if (url.pathname === '/openid') {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(this.description()));
    } else if (url.pathname === '/register') {
      let body = '';
      for await (const chunk of request) body += chunk;
      this.tools.push({ ...JSON.parse(body), bearer: request.headers.authorization });
      const deployment = { 'https://purl.imsglobal.org/spec/lti-tool-configuration': { deployment_id: '1' } };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ client_id: 'client-1', ...deployment }));
    } else if (url.pathname === '/keys') {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(this.jwks()));
    } else if (url.pathname === '/tools') {
      // the administrator's page: frames the tool's registration, and takes the frame away when the tool says so
      const to = `${url.searchParams.get('address')}&${new URLSearchParams({ openid_configuration: `${this.url}/openid`, registration_token: 'reg.1' })}`;
      page(`<iframe title="Tool" style="width:100%;height:600px" src="${to.replaceAll('&', '&amp;')}"></iframe>
        <script>addEventListener('message', ({ data }) => { if (data?.subject === 'org.imsglobal.lti.close') document.querySelector('iframe').replaceWith('Closed.'); })</script>`);
    } else if (url.pathname === '/cookies') {
      // what a browser keeps of another site's cookies in a frame: set once, then shown as they come back
      const rules = 'Path=/; Secure; SameSite=None';
      if (!url.searchParams.has('shown')) response.setHeader('set-cookie', [`plain=1; ${rules}`, `apart=1; ${rules}; Partitioned`]);
      page(url.searchParams.has('shown') ? `<p id="shown">${request.headers.cookie ?? ''}</p>` : '<script>location.replace("/cookies?shown")</script>');
    } else if (url.pathname === '/frame') {
      page(`<iframe title="Other" src="${url.searchParams.get('src')}"></iframe>`);
    } else {
      // a picture for the tab is what browsers ask for beside
      response.writeHead(url.pathname === '/favicon.ico' ? 204 : 404).end();
    }
  }
}
