// A person's way with passkeys and security keys, in a real browser with authenticators that it believes in: make one, sign in with
// it by button and by autofill, rename and remove it, keep the only way in, and what is said when a dialog fails.
// Knows the pages as a person does, by their headings, labels and buttons.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { codeOf } from './authenticator.mjs';
import { accessibilityFaults, newPerson, openBrowser, signUp } from './browser.mjs';
import { addAuthenticator } from './keys.mjs';
import { startServer } from './server.mjs';

let server;
let passwordless;
let browser;
before(async () => {
  const hook = (method) => ({ [`SELFSERVICE_FLOWS_REGISTRATION_AFTER_${method}_HOOKS_0_HOOK`]: 'session' });
  server = await startServer({ env: hook('PASSKEY') });
  passwordless = await startServer({ env: { ...hook('WEBAUTHN'), SELFSERVICE_METHODS_WEBAUTHN_CONFIG_PASSWORDLESS: 'true' } });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
  await passwordless?.stop();
});

const text = (base64) => Buffer.from(base64, 'base64').toString('base64url');

/** A browser window with an authenticator, and what a person does in it. */
async function open({ origin } = server, { key = false } = {}) {
  const context = await browser.newContext({ locale: 'en' });
  const page = await context.newPage();
  await page.addInitScript(() => {
    if (location.protocol === 'http:' && sessionStorage.getItem('no offers')) PublicKeyCredential.isConditionalMediationAvailable = async () => false;
  });
  const refused = [];
  page.on('console', (message) => message.type() === 'error' && refused.push(message.text()));
  page.on('pageerror', (error) => refused.push(String(error)));
  const start = (flow) => page.goto(`${origin}/self-service/${flow}/browser`);
  const button = (name, where = page) => where.getByRole('button', { name, exact: true });
  return {
    context,
    page,
    start,
    button,
    press: (name, where) => Promise.all([page.waitForNavigation(), button(name, where).click()]),
    heading: () => page.locator('h1').innerText(),
    rows: (section) => page.locator(`#${section} ul.rows > li`),
    authenticator: await addAuthenticator(page, { key }),
    signedIn: async () => (await page.request.get(`${origin}/sessions/whoami`)).status() === 200,
    /** What is told about a dialog that failed; it has the focus. */
    fault: async () => {
      const box = page.locator('main [role=alert]:visible');
      await box.waitFor();
      assert.equal(await page.evaluate(() => document.activeElement.matches('[data-errors]')), true, 'it has the focus');
      assert.match(await page.title(), /^Error: /);
      return box.innerText();
    },
    /** Signs in with the button, as in a browser that offers nothing in the autofill: the authenticator would answer that at once. */
    async pressPasskey() {
      await page.evaluate(() => sessionStorage.setItem('no offers', 'yes'));
      await start('login');
      await Promise.all([page.waitForNavigation(), button('Sign in with a passkey').click()]);
      await page.evaluate(() => sessionStorage.removeItem('no offers'));
    },
    async close() {
      assert.deepEqual(refused, [], 'nothing was refused by the content security policy');
      await context.close();
    },
  };
}

test('make a passkey, sign in with it by button and by autofill, rename and remove it', async () => {
  const { context, page, start, press, heading, rows, authenticator, signedIn, fault, pressPasskey, close } = await open();
  const person = newPerson();
  await page.addInitScript(() => {
    for (const name of ['signalAllAcceptedCredentials', 'signalCurrentUserDetails', 'signalUnknownCredential']) {
      const keep = async (options) => sessionStorage.setItem(`${name} ${options.userId ?? options.credentialId}`, JSON.stringify(options));
      if (globalThis.PublicKeyCredential) PublicKeyCredential[name] = keep;
    }
  });
  /** What authenticators were told about a person or a credential. */
  const told = (about, whom) => page.evaluate((key) => JSON.parse(sessionStorage.getItem(key)), `${about} ${text(whom)}`);
  await signUp(page, server.origin, person);
  await start('settings');
  assert.equal(await page.getByText('No passkey yet').isVisible(), true);
  await press('Add a passkey');
  assert.equal(await rows('passkey').count(), 1);
  assert.match(await rows('passkey').innerText(), /Added \d+ \w+[^]*Never used/);
  const [kept] = await authenticator.credentials();
  const { rpId, allAcceptedCredentialIds } = await told('signalAllAcceptedCredentials', kept.userHandle);
  assert.deepEqual([rpId, allAcceptedCredentialIds], ['localhost', [text(kept.credentialId)]]);
  assert.equal((await told('signalCurrentUserDetails', kept.userHandle)).name, person.email);

  // The same device once more.
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  assert.match(await fault(), /This one is already added/);
  assert.equal(await rows('passkey').count(), 1);

  await context.clearCookies();
  await pressPasskey();
  assert.equal(await heading(), 'Sign-in & profile');
  assert.match(await rows('passkey').innerText(), /Last used \d+ \w+/);

  await context.clearCookies();
  await page.goto('about:blank');
  // The page may be left before it is quite there.
  await Promise.all([page.waitForURL('**/settings**'), start('login').catch(() => {})]);
  assert.equal(await signedIn(), true, 'the autofill was enough');

  await page.goto(`${server.origin}/self-service/login/browser?refresh=true`);
  await page.waitForLoadState();
  assert.match(await heading(), /Confirm/);
  assert.equal(await page.getByText(person.email).isVisible(), true, 'it says whose account it is');
  await press('Confirm with a passkey');
  assert.equal(await heading(), 'Sign-in & profile');

  const row = () => rows('passkey').first();
  await start('settings');
  await row().locator('summary').click();
  assert.deepEqual(await accessibilityFaults(page), []);
  assert.equal(await told('signalUnknownCredential', kept.credentialId), null);
  const name = 'Kitchen <b>tablet</b> & "co"';
  await row().getByLabel('Name').fill(name);
  await press('Save the name', row());
  assert.equal((await row().innerText()).startsWith(name), true);

  await row().locator('summary').click();
  assert.equal(await row().getByText('you can no longer sign in with it').isVisible(), true, 'said before it is done');
  await press(`Remove the passkey “${name}”`, row());
  assert.equal(await page.getByText('No passkey yet').isVisible(), true);
  assert.deepEqual(await told('signalUnknownCredential', kept.credentialId), { rpId: 'localhost', credentialId: text(kept.credentialId) });

  await context.clearCookies();
  await pressPasskey();
  assert.equal(await heading(), 'Sign in');
  assert.equal(await page.getByRole('alert').isVisible(), true, 'what was removed is refused');
  assert.equal(await signedIn(), false);
  await close();
});

test('sign up with a passkey, which stays as long as it is the only way in', async () => {
  const { page, start, press, button, rows, authenticator, signedIn, close } = await open();
  const person = newPerson();
  await start('registration');
  await button('Sign up with a passkey').click();
  const email = page.getByLabel('Email address');
  await page.getByText('Fill this in first').waitFor();
  assert.equal(await email.evaluate((field) => field === document.activeElement && field.getAttribute('aria-invalid') === 'true'), true);
  await email.fill(person.email);
  await press('Sign up with a passkey');
  assert.equal(await signedIn(), true);
  const [kept] = await authenticator.credentials();
  assert.equal(kept.userName, person.email);

  await start('settings');
  await rows('passkey').locator('summary').click();
  assert.equal(await rows('passkey').getByText('It is your only way in').isVisible(), true);
  assert.equal(await page.locator('[name="passkey_remove"]').count(), 0);
  assert.deepEqual(await accessibilityFaults(page), []);
  // Somebody who asks for it all the same is refused, and told once.
  await Promise.all([page.waitForNavigation(), page.evaluate(() => {
    const button = document.querySelector('[name="passkey_rename"]');
    button.name = 'passkey_remove';
    button.formNoValidate = true;
    button.form.requestSubmit(button);
  })]);
  assert.equal(await page.locator('[role=alert]:visible').count(), 1);
  assert.equal(await rows('passkey').count(), 1);

  // With a password it is one way of two.
  await page.locator('#password summary').click();
  await page.locator('#password input[name="password"]').fill(person.password);
  await press('Save the password');
  await rows('passkey').locator('summary').click();
  assert.equal(await page.locator('[name="passkey_remove"]').isVisible(), true);
  await close();
});

test('what a failed dialog is called: cancelled, already there, not here, too old a browser', async () => {
  const { page, start, button, authenticator, fault, close } = await open();
  await signUp(page, server.origin, newPerson());
  await start('settings');
  await authenticator.knows(false);
  await button('Add a passkey').click();
  assert.match(await fault(), /Nothing was added\.[^]*cancelled/);
  assert.deepEqual(await accessibilityFaults(page), []);
  await authenticator.knows(true);

  const data = page.locator('[name="passkey_create_data"]');
  const options = JSON.parse(await data.inputValue());
  const put = (changed) => data.evaluate((input, text) => { input.value = text; }, JSON.stringify(changed));
  await put({ publicKey: { ...options.publicKey, rp: { id: 'elsewhere.example', name: 'x' } } });
  await button('Add a passkey').click();
  assert.match(await fault(), /This address is not set up/);
  await put({});
  await button('Add a passkey').click();
  assert.match(await fault(), /This page is not complete/);
  assert.equal(await page.locator('main [role=alert]:visible').count(), 1, 'the last one only');
  await page.evaluate(() => { delete globalThis.PublicKeyCredential; });
  await button('Add a passkey').click();
  assert.match(await fault(), /This browser can’t do that/);
  await page.evaluate(() => { delete globalThis.oryPasskeySettingsRegistration; });
  await button('Add a passkey').click();
  assert.match(await fault(), /This browser can’t do that/, 'even where the helper did not load');
  await close();
});

test('a security key as the second step', async () => {
  const { context, page, start, press, button, heading, rows, signedIn, close } = await open(server, { key: true });
  const person = newPerson();
  await signUp(page, server.origin, person);
  await start('settings');
  const name = page.locator('#webauthn').getByLabel('Name of the key');
  await button('Add a security key').click();
  await page.getByText('Enter a name first').waitFor();
  await name.fill('Blue key');
  await Promise.all([page.waitForNavigation(), name.press('Enter')]);
  assert.match(await rows('webauthn').innerText(), /^Blue key/);
  assert.deepEqual(await accessibilityFaults(page), []);

  const password = async () => {
    await context.clearCookies();
    await start('settings');
    await page.getByLabel('Email address').fill(person.email);
    await page.locator('input[name="password"]').fill(person.password);
    await press('Sign in');
  };
  await password();
  assert.equal(await heading(), 'Use your security key');
  assert.equal(await page.getByText(person.email).isVisible(), true);
  assert.deepEqual(await accessibilityFaults(page), []);
  await press('Use your security key');
  assert.equal(await heading(), 'Sign-in & profile');
  assert.equal((await (await page.request.get(`${server.origin}/sessions/whoami`)).json()).authenticator_assurance_level, 'aal2');
  assert.match(await rows('webauthn').innerText(), /Last used/);

  const row = rows('webauthn').first();
  await row.locator('summary').click();
  await row.getByLabel('Name of the key').fill('Red key');
  await press('Save the name', row);
  assert.match(await row.innerText(), /^Red key/);
  await row.locator('summary').click();
  assert.equal(await row.getByText('It is your last second step.').isVisible(), true, 'said before it is done');
  await press('Remove the security key “Red key”', row);
  assert.equal(await page.getByText('No security key yet').isVisible(), true);
  await password();
  assert.equal(await signedIn(), true);
  assert.equal(await heading(), 'Sign-in & profile', 'one step is enough again');
  await close();
});

test('a security key beside the codes of an app', async () => {
  const { context, page, start, press, heading, rows, close } = await open(server, { key: true });
  const person = newPerson();
  await signUp(page, server.origin, person);
  await start('settings');
  await page.locator('#webauthn').getByLabel('Name of the key').fill('Blue key');
  await press('Add a security key');
  await page.getByLabel('6-digit code').fill(codeOf(await page.locator('#totp_secret_key').innerText()));
  await press('Turn on');
  await context.clearCookies();
  await start('settings');
  await page.getByLabel('Email address').fill(person.email);
  await page.locator('input[name="password"]').fill(person.password);
  await press('Sign in');
  assert.equal(await heading(), 'Enter your code');
  assert.equal(await page.getByLabel('Code from the app').isVisible(), true);
  assert.deepEqual(await accessibilityFaults(page), []);
  const choice = page.getByRole('button', { name: 'Use your security key' });
  await Promise.all([page.waitForNavigation(), choice.click()]);
  assert.equal(await heading(), 'Sign-in & profile');
  await rows('webauthn').locator('summary').click();
  assert.equal(await rows('webauthn').getByText('your authenticator app is the second step that is left').isVisible(), true);
  await close();
});

test('an account with nothing but a security key', async () => {
  const { context, page, start, press, button, heading, rows, signedIn, close } = await open(passwordless, { key: true });
  const person = newPerson();
  await start('registration');
  await page.getByLabel('Email address').fill(person.email);
  await page.locator('summary', { hasText: 'Sign up with a security key' }).click();
  await button('Sign up with a security key').click();
  await page.getByText('Enter a name first').waitFor();
  await page.getByLabel('Name of the key').fill('Blue key');
  assert.deepEqual(await accessibilityFaults(page), []);
  await press('Sign up with a security key');
  assert.equal(await signedIn(), true);
  await start('settings');
  await rows('webauthn').locator('summary').click();
  assert.equal(await rows('webauthn').getByText('It is your only way in').isVisible(), true);
  await page.locator('#password summary').click();
  await page.locator('#password input[name="password"]').fill(person.password);
  await press('Save the password');
  await rows('webauthn').locator('summary').click();
  assert.equal(await rows('webauthn').getByText('Your other ways in stay as they are.').isVisible(), true);
  assert.equal(await page.getByText('Two-step sign-in is on').count(), 0, 'a way in is no second step');

  await context.clearCookies();
  await start('login');
  await page.getByLabel('Email address').fill(person.email);
  await press('Sign in with a security key');
  assert.equal(await page.getByText('Have your security key at hand.').isVisible(), true);
  assert.equal(await page.getByText(person.email).isVisible(), true);
  assert.deepEqual(await accessibilityFaults(page), []);
  await press('Use your security key');
  assert.equal(await heading(), 'Sign-in & profile');
  await close();
});

test('without scripts there are rows, names and removal, and a line for what is missing', async () => {
  const { context, page, start, press, rows, close } = await open();
  await signUp(page, server.origin, newPerson());
  await start('settings');
  await press('Add a passkey');
  const plain = await browser.newContext({ javaScriptEnabled: false, locale: 'en', storageState: await context.storageState() });
  const paper = await plain.newPage();
  await paper.goto(`${server.origin}/self-service/settings/browser`);
  const row = paper.locator('#passkey ul.rows > li');
  assert.equal(await row.count(), 1);
  assert.equal(await paper.locator('#passkey noscript p').innerText(), 'This needs JavaScript: Add a passkey');
  assert.equal(await paper.getByRole('button', { name: 'Add a passkey' }).isVisible(), false);
  await row.locator('summary').click();
  await row.getByLabel('Name').fill('Paper');
  await Promise.all([paper.waitForNavigation(), row.getByRole('button', { name: 'Save the name' }).click()]);
  await row.locator('summary').click();
  await Promise.all([paper.waitForNavigation(), row.getByRole('button', { name: 'Remove the passkey “Paper”' }).click()]);
  assert.equal(await paper.getByText('No passkey yet').isVisible(), true);
  await plain.close();
  await start('settings');
  assert.equal(await rows('passkey').count(), 0);
  await close();
});
