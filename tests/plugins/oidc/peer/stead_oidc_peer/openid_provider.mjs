// An OpenID provider for the tests: npm's oidc-provider with the clients and people of a JSON file.
//   node openid_provider.mjs SETTINGS.json
// People are read again at every question, so that a test can change and remove them.
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { X509Certificate } from 'node:crypto';
import Provider from 'oidc-provider';

const settings = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const people = () => JSON.parse(fs.readFileSync(settings.people, 'utf8'));

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  jwks: settings.jwks,
  cookies: { keys: ['only for the time of a test'] },
  conformIdTokenClaims: false,
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'preferred_username'],
    groups: ['groups', 'realm_access', 'https://example.com/groups'],
  },
  scopes: ['openid', 'offline_access', 'email', 'profile', 'groups', 'https://graph.test/.default'],
  pkce: { required: () => settings.pkceRequired !== false },
  clientAuthMethods: [
    'client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth', 'none',
  ],
  features: {
    devInteractions: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    clientCredentials: { enabled: true },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => {
        const peer = ctx.socket.getPeerCertificate?.();
        return peer?.raw ? new X509Certificate(peer.raw) : undefined;
      },
      certificateAuthorized: (ctx) => ctx.socket.authorized === true,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === 'tls_client_auth_subject_dn' && ctx.socket.getPeerCertificate().subject.CN === expected,
    },
  },
  // Stead is on this machine too, which the provider's own way of fetching refuses.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  ttl: { AccessToken: 600, AuthorizationCode: 60, IdToken: 600, RefreshToken: 86400, Session: 86400, Grant: 86400, Interaction: 600 },
  issueRefreshToken: async (ctx, client, code) => client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  loadExistingGrant: async (ctx) => {
    // Consent is given: who runs a company's provider has decided that already.
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope([...ctx.oidc.requestParamScopes].join(' '));
    await grant.save();
    return grant;
  },
  findAccount: (ctx, sub) => {
    const person = people()[sub];
    return person && { accountId: sub, claims: () => ({ sub, ...person }) };
  },
});
provider.on('server_error', (ctx, error) => console.error(error));
provider.on('grant.error', (ctx, error) => console.error('grant', error.message, error.error_detail));
provider.on('backchannel.error', (ctx, error) => console.error('backchannel', error));

const server = settings.tls
  ? https.createServer(
      {
        cert: fs.readFileSync(settings.tls.cert),
        key: fs.readFileSync(settings.tls.key),
        ca: fs.readFileSync(settings.tls.ca),
        requestCert: true,
        rejectUnauthorized: false,
      },
      provider.callback(),
    )
  : http.createServer(provider.callback());
server.listen(settings.port, '127.0.0.1');
