// A person's way through the built-in pages, in a real browser: sign up, change things, confirm, leave and come back.
// Run with scripts and without; the server asks for a fresh sign-in before every protected change, as if hours had passed.
// Knows the pages as a person does, by their headings, labels and buttons.
// cases: S-7, S-50, S-52, S-61, S-63, L-1, L-26, L-80, L-81

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newPerson, openBrowser } from './browser.mjs';
import { startServer } from './server.mjs';

let server;
let browser;
before(async () => {
  server = await startServer({ env: { SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE: '0s' } });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

for (const javaScriptEnabled of [true, false]) {
  test(`sign up, change name and password, leave and come back ${javaScriptEnabled ? 'with' : 'without'} scripts`, async () => {
    const context = await browser.newContext({ javaScriptEnabled, locale: 'en' });
    const page = await context.newPage();
    const refused = [];
    page.on('console', (message) => message.type() === 'error' && refused.push(message.text()));
    const person = newPerson();
    const press = (name) => Promise.all([page.waitForNavigation(), page.getByRole('button', { name, exact: true }).click()]);
    const saved = () => page.getByText('Your changes are saved.').locator('visible=true').count();
    const heading = () => page.locator('h1').innerText();

    await page.goto(`${server.origin}/ui/`);
    await page.goto(`${server.origin}/self-service/registration/browser`);
    assert.equal(await heading(), 'Create an account');
    await page.getByLabel('Email address').fill(person.email);
    await page.locator('input[name="password"]').fill(person.password);
    await press('Create account');
    assert.match(new URL(page.url()).pathname, /settings/, 'a new account lands on its settings');

    await page.getByLabel('First name').fill('Augusta');
    await press('Save');
    assert.equal(await page.getByLabel('First name').inputValue(), 'Augusta');
    assert.equal(await saved(), 1);

    // The change waits while the person confirms that it is them, and is done when they are back.
    const renewed = 'walk 5 evenings, slowly';
    await page.locator('#password summary').click();
    await page.locator('#password input[name="password"]').fill(renewed);
    await press('Save the password');
    assert.match(await heading(), /Confirm/);
    await page.locator('input[name="password"]').fill(person.password);
    await press('Confirm');
    assert.match(new URL(page.url()).pathname, /settings/, 'back on settings');
    assert.equal(await saved(), 1, 'and the change is done');

    await page.getByRole('link', { name: 'Devices' }).click();
    await page.waitForLoadState();
    assert.equal(await heading(), 'Devices');
    await Promise.all([page.waitForNavigation(), page.getByText('Sign out', { exact: true }).first().click()]);

    await page.goto(`${server.origin}/self-service/settings/browser`);
    assert.equal(await heading(), 'Sign in', 'signed out');
    await page.getByLabel('Email address').fill(person.email);
    await page.locator('input[name="password"]').fill(person.password);
    await press('Sign in');
    assert.equal(await page.locator('[role="alert"]').first().isVisible(), true, 'the old password is refused');
    await page.locator('input[name="password"]').fill(renewed);
    await press('Sign in');
    await page.goto(`${server.origin}/self-service/settings/browser`);
    assert.equal(await page.getByLabel('First name').inputValue(), 'Augusta');
    assert.deepEqual(refused, [], 'nothing was refused by the content security policy');
    await context.close();
  });
}
