// The helper script of the wire in user interfaces that are not ours: bare forms, frameworks that wrap `value`, strict policies.
// A small server stands for any interface and keeps what was posted; the browser and its authenticator are real.
// Knows the names of nodes and functions, nothing of the built-in pages.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { openBrowser } from './browser.mjs';
import { addAuthenticator } from './keys.mjs';

const HELPER = new URL('../../crates/keyward-selfservice/src/webauthn.js', import.meta.url);
const POLICY = "default-src 'none'; script-src 'self'; form-action 'self'; base-uri 'none'; require-trusted-types-for 'script'";
/** What an interface of somebody else does: call functions by name, and remember fields by its own means. */
const INTERFACE = `
  window.failures = [];
  document.addEventListener('keyward:webauthn-error', ({ detail, target }) => failures.push({ ...detail, at: target.name ?? null }));
  document.addEventListener('DOMContentLoaded', () => {
    for (const input of document.querySelectorAll('input')) {
      Object.defineProperty(input, 'value', { get() { return this.getAttribute('data-kept') ?? ''; }, set() {}, configurable: true });
      input.addEventListener('input', () => { window.heard = [...(window.heard ?? []), input.name]; });
    }
  });`;
const CHALLENGE = Buffer.alloc(32, 7).toString('base64url');
const MAKE = {
  rp: { id: 'localhost', name: 'Test' },
  user: { id: Buffer.from('somebody').toString('base64url'), name: 'Test', displayName: 'Test' },
  challenge: CHALLENGE,
  pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
  timeout: 300_000,
};
const RESIDENT = { authenticatorSelection: { requireResidentKey: true, residentKey: 'required', userVerification: 'preferred' } };
const PASSKEY = { publicKey: { ...MAKE, ...RESIDENT } };
const ASK = { publicKey: { challenge: CHALLENGE, rpId: 'localhost', timeout: 300_000, userVerification: 'preferred' } };

let browser;
let server;
let origin;
let shown = '';
let posts = [];

before(async () => {
  const helper = await readFile(HELPER);
  server = createServer(async (request, response) => {
    if (request.method === 'POST') {
      const body = Buffer.concat(await request.toArray()).toString();
      posts.push(Object.fromEntries(new URLSearchParams(body)));
    }
    const script = { '/helper.js': helper, '/interface.js': INTERFACE }[request.url];
    response.setHeader('Content-Type', script ? 'text/javascript' : 'text/html; charset=utf-8');
    response.setHeader('Content-Security-Policy', POLICY);
    response.end(script ?? (request.method === 'POST' ? '<!doctype html><title>done</title>' : shown));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://localhost:${server.address().port}`;
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
});

const quote = (text) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
const input = (name, value, type = 'hidden') => `<input type="${type}" name="${name}"${value === undefined ? '' : ` value="${quote(typeof value === 'string' ? value : JSON.stringify(value))}"`}>`;
const button = (name, value) => `<button type="button" name="${name}"${value ? ` value="${quote(JSON.stringify(value))}"` : ''}>Go</button>`;
/** A page with one form; an empty field that a password would need must not be in the way. */
const page = (fields, { head = '<script src="/helper.js" async crossorigin="anonymous"></script>' } = {}) =>
  `<!doctype html><html lang="en"><title>t</title>${head}<body><form action="/submit" method="post">${input('csrf_token', 'token')}<input name="unrelated" required>${fields}</form>`;

/** Opens `html` in a browser with an authenticator and hands both to `walk`. */
async function on(html, walk, { key = false, init } = {}) {
  const context = await browser.newContext();
  const tab = await context.newPage();
  const complaints = [];
  tab.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  tab.on('pageerror', (error) => complaints.push(String(error)));
  const authenticator = await addAuthenticator(tab, { key });
  if (init) await tab.addInitScript(init);
  posts = [];
  shown = html;
  try {
    await tab.goto(origin);
    await tab.waitForFunction(() => globalThis.oryPasskeyLogin);
    await walk({ tab, authenticator });
    assert.deepEqual(complaints.filter((text) => !text.includes('favicon')), []);
  } finally {
    await context.close();
  }
}

/** Calls a function as a click would, and waits for the page that the form leads to. */
const call = (tab, name, ...given) => Promise.all([
  tab.waitForURL('**/submit'),
  tab.evaluate(([name, given]) => { globalThis[name](...given); }, [name, given]),
]);
/** Calls a function that fails, and says how. */
const fail = (tab, name, ...given) => tab.evaluate(async ([name, given]) => {
  const told = new Promise((resolve) => {
    document.addEventListener('keyward:webauthn-error', ({ detail, target }) => resolve({ ...detail, at: target.name ?? null }), { once: true });
  });
  globalThis[name](...given);
  return told;
}, [name, given]);

const BASE64URL = /^[A-Za-z0-9_-]+$/;
/** Checks a new credential, and hands its text back read. */
function made(text, type = 'webauthn.create') {
  const credential = JSON.parse(text);
  assert.equal(credential.type, 'public-key');
  assert.equal(credential.id, credential.rawId);
  for (const [name, value] of Object.entries(credential.response)) {
    if (name === 'transports') assert.ok(Array.isArray(value));
    else assert.match(value, BASE64URL, name);
  }
  const client = JSON.parse(Buffer.from(credential.response.clientDataJSON, 'base64url'));
  assert.deepEqual([client.type, client.challenge, client.origin], [type, CHALLENGE, origin]);
  return credential;
}

test('a passkey is made from the data of its node, and used with a button and by autofill', async () => {
  const settings = page(`${input('passkey_create_data', PASSKEY)}${input('passkey_settings_register')}${button('passkey_register_trigger')}`);
  await on(settings, async ({ tab, authenticator }) => {
    await call(tab, 'oryPasskeySettingsRegistration');
    assert.deepEqual(Object.keys(posts[0]).sort(), ['csrf_token', 'method', 'passkey_create_data', 'passkey_settings_register', 'unrelated']);
    assert.equal(posts[0].method, 'passkey');
    const credential = made(posts[0].passkey_settings_register);
    assert.deepEqual(Object.keys(credential.response).sort(), ['attestationObject', 'clientDataJSON', 'transports']);
    const [kept] = await authenticator.credentials();
    assert.equal(Buffer.from(kept.credentialId, 'base64').toString('base64url'), credential.id);
    assert.equal(kept.isResidentCredential, true);

    shown = page(`<input name="identifier" autocomplete="username webauthn">${input('passkey_challenge', ASK)}${input('passkey_login')}${button('passkey_login_trigger')}`);
    await tab.goto(origin);
    await tab.waitForFunction(() => globalThis.oryPasskeyLogin);
    await call(tab, 'oryPasskeyLogin', '');
    assert.equal(posts[1].method, 'passkey');
    const used = made(posts[1].passkey_login, 'webauthn.get');
    assert.deepEqual(Object.keys(used.response).sort(), ['authenticatorData', 'clientDataJSON', 'signature', 'userHandle']);
    assert.equal(used.response.userHandle, MAKE.user.id);

    await tab.goto(origin);
    await tab.waitForFunction(() => globalThis.oryPasskeyLogin);
    await call(tab, 'oryPasskeyLoginAutocompleteInit');
    assert.equal(made(posts[2].passkey_login, 'webauthn.get').id, credential.id);

    // The offer in the autofill waits, and a dialog does not have to: there is one offer at most, and none beside a dialog.
    await tab.goto(origin);
    await tab.waitForFunction(() => globalThis.oryPasskeyLogin);
    await tab.evaluate(() => {
      const get = navigator.credentials.get.bind(navigator.credentials);
      globalThis.offers = [];
      navigator.credentials.get = (options) => {
        if (options.mediation !== 'conditional') {
          sessionStorage.setItem('ended', offers.map(({ aborted }) => aborted));
          return get(options);
        }
        offers.push(options.signal);
        return new Promise((_, refuse) => { options.signal.onabort = () => refuse(options.signal.reason); });
      };
      oryPasskeyLoginAutocompleteInit();
      oryPasskeyLoginAutocompleteInit();
    });
    await tab.waitForFunction(() => globalThis.offers.length === 2);
    assert.deepEqual(await tab.evaluate(() => globalThis.offers.map(({ aborted }) => aborted)), [true, false]);
    await call(tab, 'oryPasskeyLogin');
    assert.equal(await tab.evaluate(() => sessionStorage.getItem('ended')), 'true,true');
    assert.equal(posts.length, 4);
    // Whoever comes back finds the form as it was.
    await tab.goBack();
    assert.deepEqual(await tab.evaluate(() => [document.querySelector('[name=method]'), document.querySelector('[name=passkey_login]').value]), [null, '']);
  });
});

test('a new account names its passkey after the field that the options name', async () => {
  const data = { credentialOptions: PASSKEY, displayNameFieldName: 'traits.email', displayNameFieldNames: ['traits.email', 'traits.name'] };
  const html = page(`${input('traits.email', '', 'email')}${input('passkey_create_data', data)}${input('passkey_register')}${button('passkey_register_trigger')}`);
  await on(html, async ({ tab, authenticator }) => {
    assert.deepEqual(await fail(tab, 'oryPasskeyRegistration'), { name: 'MissingNameError', trigger: 'oryPasskeyRegistration', at: 'traits.email' });
    assert.equal(await tab.evaluate(() => document.activeElement.name), 'traits.email');
    assert.equal(await tab.evaluate(() => document.activeElement.validationMessage), 'Fill in this field first.');
    await tab.fill('[name="traits.email"]', 'ada@example.org');
    await call(tab, 'oryPasskeyRegistration');
    assert.equal(posts[0]['traits.email'], 'ada@example.org');
    made(posts[0].passkey_register);
    const [kept] = await authenticator.credentials();
    assert.deepEqual([kept.userName, kept.userDisplayName], ['ada@example.org', 'ada@example.org']);
  });
});

for (const [how, given] of [['object', (options) => [options]], ['text', (options) => [JSON.stringify(options)]], ['value of its node', () => []], ['value, beside a click', () => [{ type: 'click' }]]]) {
  test(`a security key is added and used with options as ${how}`, async () => {
    const options = { publicKey: { ...MAKE, authenticatorSelection: { userVerification: 'discouraged' } } };
    const fields = (value) => page(`${input('webauthn_register_displayname', '', 'text')}${input('webauthn_register', '')}${button('webauthn_register_trigger', value)}`);
    const byValue = given(options).length === 0 || given(options)[0].type === 'click';
    await on(fields(byValue && options), async ({ tab }) => {
      assert.equal((await fail(tab, 'oryWebAuthnRegistration', ...given(options))).name, 'MissingNameError');
      await tab.fill('[name="webauthn_register_displayname"]', 'Blue key');
      await call(tab, 'oryWebAuthnRegistration', ...given(options));
      assert.deepEqual([posts[0].method, posts[0].webauthn_register_displayname], ['webauthn', 'Blue key']);
      const { id } = made(posts[0].webauthn_register);

      const ask = { publicKey: { ...ASK.publicKey, userVerification: 'discouraged', allowCredentials: [{ type: 'public-key', id }] } };
      shown = page(`${input('identifier', 'ada@example.org')}${input('webauthn_login', '')}${button('webauthn_login_trigger', byValue && ask)}`);
      await tab.goto(origin);
      await tab.waitForFunction(() => globalThis.oryPasskeyLogin);
      await call(tab, 'oryWebAuthnLogin', ...given(ask));
      assert.deepEqual([posts[1].method, posts[1].identifier], ['webauthn', 'ada@example.org']);
      assert.equal(made(posts[1].webauthn_login, 'webauthn.get').response.userHandle, undefined, 'a key that keeps nothing knows nobody');
    }, { key: true });
  });
}

test('each failure has a name, and changes nothing', async () => {
  const settings = (data) => page(`${input('passkey_create_data', data)}${input('passkey_settings_register')}${button('passkey_register_trigger')}`);
  const strict = { publicKey: { ...MAKE, authenticatorSelection: { ...RESIDENT.authenticatorSelection, userVerification: 'required' } } };
  const add = 'oryPasskeySettingsRegistration';
  const told = (name) => ({ name, trigger: add, at: 'passkey_register_trigger' });
  await on(settings(PASSKEY), async ({ tab, authenticator }) => {
    await call(tab, add);
    const [{ credentialId }] = await authenticator.credentials();
    const known = { publicKey: { ...PASSKEY.publicKey, excludeCredentials: [{ type: 'public-key', id: Buffer.from(credentialId, 'base64').toString('base64url') }] } };
    for (const [data, name, knows] of [
      [known, 'InvalidStateError', true],
      [strict, 'NotAllowedError', false],
      [PASSKEY, 'NotAllowedError', false],
      [{ publicKey: { ...MAKE, rp: { id: 'elsewhere.example', name: 'Test' } } }, 'SecurityError', true],
      ['', 'NoOptionsError', true],
      ['{"publicKey":', 'NoOptionsError', true],
      [{ publicKey: { ...PASSKEY.publicKey, challenge: '*' } }, 'InvalidCharacterError', true],
    ]) {
      shown = settings(data);
      await authenticator.knows(knows);
      await tab.goto(origin);
      await tab.waitForFunction(() => globalThis.oryPasskeyLogin);
      assert.deepEqual(await fail(tab, add), told(name));
    }
    assert.equal(posts.length, 1);
    assert.equal((await authenticator.credentials()).length, 1);
    // The next try works.
    shown = settings(PASSKEY);
    await tab.goto(origin);
    await tab.waitForFunction(() => globalThis.oryPasskeyLogin);
    await call(tab, add);
  });
  await on(settings(PASSKEY), async ({ tab }) => {
    assert.deepEqual(await fail(tab, add), told('NotSupportedError'));
  }, { init: () => { delete globalThis.PublicKeyCredential; } });
});

test('a ceremony that nobody answers ends with its time, and says so', async () => {
  const soon = { publicKey: { ...ASK.publicKey, timeout: 1_000 } };
  const html = page(`${input('passkey_challenge', soon)}${input('passkey_login')}${button('passkey_login_trigger')}`);
  await on(html, async ({ tab, authenticator }) => {
    await authenticator.approves(false);
    assert.equal((await fail(tab, 'oryPasskeyLogin')).name, 'TimeoutError');
  });
});

test('it fits interfaces that keep values themselves, load it twice, or load it before there is a page', async () => {
  const fields = `${input('passkey_create_data')}${input('passkey_settings_register')}${button('passkey_register_trigger')}`;
  const twice = '<script src="/helper.js"></script><script src="/interface.js"></script><script src="/helper.js" async></script>';
  await on(page(fields, { head: twice }), async ({ tab }) => {
    await tab.evaluate((data) => { document.querySelector('[name=passkey_create_data]').setAttribute('data-kept', data); }, JSON.stringify(PASSKEY));
    await Promise.all([tab.waitForURL('**/submit'), tab.evaluate(() => {
      addEventListener('pagehide', () => sessionStorage.setItem('heard', globalThis.heard));
      globalThis.oryPasskeySettingsRegistration();
    })]);
    made(posts[0].passkey_settings_register);
    assert.match(await tab.evaluate(() => sessionStorage.getItem('heard')), /passkey_settings_register/, 'frameworks hear of it');
  });
  const early = '<script src="/helper.js"></script>';
  const offer = page(`<input name="identifier" autocomplete="username webauthn">${input('passkey_challenge', ASK)}${input('passkey_login')}`, { head: early });
  await on(page(`${input('passkey_create_data', PASSKEY)}${input('passkey_settings_register')}`), async ({ tab }) => {
    await call(tab, 'oryPasskeySettingsRegistration');
    await tab.addInitScript(() => {
      // As early as a page can: the function is called the moment it exists.
      let init;
      Object.defineProperty(globalThis, 'oryPasskeyLoginAutocompleteInit', { get: () => init, set: (made) => { init = made; made(); }, configurable: true });
    });
    shown = offer;
    await tab.goto('about:blank');
    await Promise.all([tab.waitForURL('**/submit'), tab.goto(origin).catch(() => {})]);
    made(posts[1].passkey_login, 'webauthn.get');
  });
});
