// An OpenID provider, certified and not our own (the package `oidc-provider`), with accounts of whatever name somebody types.
// The walk through social sign-in starts one beside the server; the server has to be told of it before it knows where it is called.
// Knows one client, and nothing of the pages.

import { createServer } from 'node:http';
import { once } from 'node:events';
import Provider from 'oidc-provider';

const CLIENT = { id: 'keyward', secret: 'a secret of the walk, at least 32 characters long' };
const MAPPER = `local claims = { email_verified: false } + std.extVar('claims');
{ identity: {
  traits: { [if 'email' in claims then 'email']: claims.email },
  verified_addresses: if claims.email_verified then [{ via: 'email', value: claims.email }] else [],
} }`;

/** What the person sees there: who are you, and may they know? Without scripts and without anything from elsewhere. */
const question = (name) => `<!doctype html><html lang="en"><title>Example Provider</title><main><h1>Example Provider</h1>
<form method="post"><p><label>Account <input name="account" autofocus></label></p>
<p>${name} wants to know your email address.</p>
<button name="answer" value="yes">Agree</button> <button name="answer" value="no">Refuse</button></form></main></html>`;

/**
 * Listens at once; `env` are the settings of the server that make it the provider `op`, and `serve(origin)` starts to answer it.
 * `account` of a person is their email address, which counts as verified; about others nothing is told.
 */
export async function startProvider() {
  const http = createServer().listen(0, '127.0.0.1');
  await once(http, 'listening');
  const issuer = `http://127.0.0.1:${http.address().port}`;
  const entry = {
    id: 'op',
    provider: 'generic',
    label: 'Example Provider',
    client_id: CLIENT.id,
    client_secret: CLIENT.secret,
    issuer_url: issuer,
    scope: ['openid', 'email'],
    mapper_url: `base64://${Buffer.from(MAPPER).toString('base64')}`,
  };
  return {
    issuer,
    env: {
      SELFSERVICE_METHODS_OIDC_ENABLED: 'true',
      SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS: JSON.stringify([entry]),
      SELFSERVICE_FLOWS_REGISTRATION_AFTER_OIDC_HOOKS: JSON.stringify([{ hook: 'session' }]),
    },
    serve: (origin) => http.on('request', answers(issuer, origin)),
    stop: () => new Promise((resolve) => { http.close(resolve); http.closeAllConnections(); }),
  };
}

function answers(issuer, origin) {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: CLIENT.id,
      client_secret: CLIENT.secret,
      client_name: 'Keyward',
      redirect_uris: [`${origin}/self-service/methods/oidc/callback/op`],
    }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    // The email address stands in the id token, as large providers do it, and not only in the answer about the person.
    conformIdTokenClaims: false,
    cookies: { keys: ['a key of the walk'] },
    features: { devInteractions: { enabled: false } },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...(id.includes('@') && { email: id, email_verified: true }) }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    async loadExistingGrant({ oidc }) {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope('openid email');
      await grant.save();
      return grant;
    },
  });
  const callback = provider.callback();
  return async (request, response) => {
    if (!request.url.startsWith('/interaction/')) return callback(request, response);
    if (request.method === 'GET') {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      return response.end(question('Keyward'));
    }
    let body = '';
    for await (const part of request) body += part;
    const form = new URLSearchParams(body);
    const result = form.get('answer') === 'yes'
      ? { login: { accountId: form.get('account') } }
      : { error: 'access_denied', error_description: 'The person said no' };
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  };
}
