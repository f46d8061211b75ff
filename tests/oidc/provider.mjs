// An OpenID provider for the tests: `oidc-provider` (panva), certified and not ours, with its own pages to sign in and consent.
//
//   node provider.mjs <callback of labwire> <groups in: token|userinfo>
//
// Prints its issuer when it is up, and ends with its standard input. A login name is `somebody+group+group`: who they are and which
// groups they are in. Any password will do.
import { Provider } from 'oidc-provider';
import { createServer } from 'node:http';

// nobody reads its output after the issuer: what it warns of (a development set-up, Node's version) goes to standard error
console.info = console.warn = console.error;

const [callback, groupsIn] = process.argv.slice(2);
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'labwire', client_secret: 'a secret of the client', redirect_uris: [callback] }],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'] },
    // as the standard has it, or as Keycloak does
    conformIdTokenClaims: groupsIn !== 'token',
    pkce: { required: () => true },
    cookies: { keys: ['a key of the provider'] },
    features: { devInteractions: { enabled: true } },
    findAccount: (_, id) => {
      const [name, ...groups] = id.split('+');
      return { accountId: id, claims: () => ({ sub: id, name: `Prof. ${name}`, preferred_username: name, groups }) };
    },
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
