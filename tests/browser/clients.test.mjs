// The official clients against a running server: every answer is read by their models, and nothing may be left over.
// What a model does not know would be dropped in silence, so each answer is written back and compared with what came.
// Python's client refuses by itself what its models do not allow; clients.py walks the same way.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as sdk from '@ory/client-fetch';
import { codeOf } from './authenticator.mjs';
import { startServer } from './server.mjs';

const run = promisify(execFile);
const PASSWORD = 'walk 4 mornings, slowly';

let server;
let seen;
let frontend;
let identities;
let metadata;

before(async () => {
  server = await startServer();
  const middleware = [{ post: async ({ response }) => { seen = response.status === 204 ? null : await response.clone().json(); } }];
  const of = (basePath) => new sdk.Configuration({ basePath, middleware });
  frontend = new sdk.FrontendApi(of(server.origin));
  identities = new sdk.IdentityApi(of(server.adminOrigin));
  metadata = new sdk.MetadataApi(of(server.adminOrigin));
});
after(async () => { await server?.stop(); });

/** Instants are compared as instants, and null as nothing: the client writes both in its own way. */
function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined && member !== null).map(([name, member]) => [name, plain(member)]));
  }
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)) return new Date(value).toISOString();
  return value;
}

/** Reads an answer with the client and checks that its model, written back, says all that came. */
async function read(model, answer) {
  const value = await answer;
  const write = sdk[`${model}ToJSON`];
  const back = (one) => plain(JSON.parse(JSON.stringify(write(one))));
  assert.deepEqual(Array.isArray(value) ? value.map(back) : back(value), plain(seen), model);
  return value;
}

/** A refusal, as its body. */
async function refused(status, model, request) {
  const error = await request.then(() => assert.fail('this was not refused'), (error) => error);
  assert.equal(error.response?.status, status, String(error));
  return sdk[`${model}FromJSON`](seen);
}

async function signUp() {
  const email = `client-${Date.now()}-${Math.floor(Math.random() * 1e6)}@example.org`;
  const flow = await read('RegistrationFlow', frontend.createNativeRegistrationFlow());
  const body = { method: 'password', password: PASSWORD, traits: { email, name: { first: 'Ada', last: 'Walker' } } };
  const done = await read('SuccessfulNativeRegistration', frontend.updateRegistrationFlow({ flow: flow.id, updateRegistrationFlowBody: body }));
  return { email, id: done.identity.id, xSessionToken: done.session_token };
}

test('settings, second factors and sessions through @ory/client-fetch', async () => {
  const { email, xSessionToken } = await signUp();
  await read('Session', frontend.toSession({ xSessionToken }));

  const settings = await read('SettingsFlow', frontend.createNativeSettingsFlow({ xSessionToken }));
  await read('SettingsFlow', frontend.getSettingsFlow({ id: settings.id, xSessionToken }));
  const submit = (updateSettingsFlowBody) => frontend.updateSettingsFlow({ flow: settings.id, xSessionToken, updateSettingsFlowBody });
  const changed = await read('SettingsFlow', submit({ method: 'profile', traits: { email, name: { first: 'Augusta' } } }));
  assert.equal(changed.identity.traits.name.first, 'Augusta');
  const weak = await refused(400, 'SettingsFlow', submit({ method: 'password', password: 'short' }));
  assert.ok(weak.ui.nodes.some((node) => node.messages.some((message) => message.id === 4000032)));
  const key = weak.ui.nodes.find((node) => node.attributes.id === 'totp_secret_key').attributes.text.text;
  const enrolled = await read('SettingsFlow', submit({ method: 'totp', totp_code: codeOf(key) }));
  const codes = enrolled.ui.nodes.find((node) => node.attributes.id === 'lookup_secret_codes').attributes.text.context.secrets;
  assert.equal(codes.length, 12);

  const login = await read('LoginFlow', frontend.createNativeLoginFlow());
  const wrong = { method: 'password', identifier: email, password: 'wrong 4 horse battery' };
  await refused(400, 'LoginFlow', frontend.updateLoginFlow({ flow: login.id, updateLoginFlowBody: wrong }));
  const signedIn = await read('SuccessfulNativeLogin', frontend.updateLoginFlow({ flow: login.id, updateLoginFlowBody: { ...wrong, password: PASSWORD } }));
  const second = signedIn.session_token;
  const weaker = await refused(403, 'ErrorGeneric', frontend.toSession({ xSessionToken: second }));
  assert.equal(weaker.error.id, 'session_aal2_required');
  const step = await read('LoginFlow', frontend.createNativeLoginFlow({ aal: 'aal2', xSessionToken: second }));
  const raised = await read('SuccessfulNativeLogin', frontend.updateLoginFlow({
    flow: step.id, xSessionToken: second, updateLoginFlowBody: { method: 'lookup_secret', lookup_secret: codes[0].text ?? codes[0].context.secret },
  }));
  assert.equal(raised.session.authenticator_assurance_level, 'aal2');

  const others = await read('Session', frontend.listMySessions({ xSessionToken: second }));
  assert.equal(others.length, 1);
  await read('DeleteMySessionsCount', frontend.disableMyOtherSessions({ xSessionToken: second }));
  await refused(401, 'ErrorGeneric', frontend.toSession({ xSessionToken }));
  await frontend.performNativeLogout({ performNativeLogoutBody: { session_token: second } });
  await refused(401, 'ErrorGeneric', frontend.toSession({ xSessionToken: second }));
  await refused(404, 'ErrorGeneric', frontend.getLoginFlow({ id: '7b4b8b7e-2f3e-4b1c-9d55-0c0d5f3a2b10' }));
});

test('the admin API through @ory/client-fetch', async () => {
  const email = `admin-${Date.now()}@example.org`;
  const body = { schema_id: 'default', traits: { email }, external_id: `ext-${Date.now()}`, metadata_public: { plan: 'free' } };
  const created = await read('Identity', identities.createIdentity({ createIdentityBody: body }));
  const { id } = created;
  await read('Identity', identities.getIdentity({ id }));
  await read('Identity', identities.getIdentityByExternalID({ externalID: body.external_id }));
  const listed = await read('Identity', identities.listIdentities({ credentialsIdentifier: email }));
  assert.deepEqual(listed.map((identity) => identity.id), [id]);
  const replaced = { schema_id: 'default', state: 'active', traits: { email, name: { last: 'Lovelace' } } };
  await read('Identity', identities.updateIdentity({ id, updateIdentityBody: replaced }));
  await read('Identity', identities.patchIdentity({ id, jsonPatch: [{ op: 'replace', path: '/metadata_public', value: { plan: 'paid' } }] }));
  const batch = { identities: [{ create: { schema_id: 'default', traits: { email: `b-${email}` } } }, { create: { schema_id: 'nope', traits: {} } }] };
  const answered = await read('BatchPatchIdentitiesResponse', identities.batchPatchIdentities({ patchIdentitiesBody: batch }));
  assert.deepEqual(answered.identities.map((entry) => entry.action), ['create', 'error']);

  const person = await signUp();
  const [session] = await read('Session', identities.listIdentitySessions({ id: person.id }));
  await read('Session', identities.getSession({ id: session.id, expand: ['identity', 'devices'] }));
  await read('Session', identities.listSessions({ expand: ['identity'] }));
  await identities.disableSession({ id: session.id });
  await identities.deleteIdentitySessions({ id: person.id });
  await refused(400, 'ErrorGeneric', identities.deleteIdentityCredentials({ id: person.id, type: 'password' }));
  await identities.deleteIdentity({ id });
  await refused(404, 'ErrorGeneric', identities.getIdentity({ id }));
  const schemas = await read('IdentitySchemaContainer', identities.listIdentitySchemas());
  assert.ok(schemas.length > 0);
  await metadata.getVersion();
  assert.ok(seen.version);
});

test('the same through the strict models of ory-client for Python', async () => {
  const python = process.env.KEYWARD_TEST_PYTHON;
  assert.ok(python, 'KEYWARD_TEST_PYTHON is not set: run `cargo xtask test`');
  const { stdout } = await run(python, [fileURLToPath(new URL('clients.py', import.meta.url)), server.origin, server.adminOrigin]);
  assert.match(stdout, /every answer was read\n$/);
});
