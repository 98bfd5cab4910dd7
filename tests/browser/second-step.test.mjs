// A person's way through the second step, in a real browser: enrol an app, keep the codes, sign in with one, renew them, leave it.
// Run with scripts and without.
// Knows the pages as a person does, by their headings, labels and buttons.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { codeOf } from './authenticator.mjs';
import { newPerson, openBrowser, signUp } from './browser.mjs';
import { startServer } from './server.mjs';

let server;
let browser;
before(async () => {
  server = await startServer();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test('the authenticator of the walks counts as RFC 6238 does', () => {
  const key = 'GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ';
  assert.equal(codeOf(key, 59_000), '287082');
  assert.equal(codeOf(key, 1_111_111_109_000), '081804');
});

for (const javaScriptEnabled of [true, false]) {
  test(`enrol an app, sign in with a backup code, renew and remove ${javaScriptEnabled ? 'with' : 'without'} scripts`, async () => {
    const context = await browser.newContext({ javaScriptEnabled, locale: 'en', acceptDownloads: true });
    const page = await context.newPage();
    const refused = [];
    page.on('console', (message) => message.type() === 'error' && refused.push(message.text()));
    const person = newPerson();
    const press = (name, where = page) => Promise.all([page.waitForNavigation(), where.getByRole('button', { name, exact: true }).click()]);
    const heading = () => page.locator('h1').innerText();
    const app = page.locator('#totp');
    const codes = page.locator('#lookup_secret');
    const listed = () => codes.locator('ol.codes li').allInnerTexts();
    const settings = () => page.goto(`${server.origin}/self-service/settings/browser`);

    await signUp(page, server.origin, person);
    await settings();
    const key = await page.locator('#totp_secret_key').innerText();
    await page.getByLabel('6-digit code').fill('000 000');
    await press('Turn on');
    assert.equal(await app.getByText('That code is not right.').isVisible(), true);
    assert.equal(await page.locator('#totp_secret_key').innerText(), key, 'the key stays');
    await page.getByLabel('6-digit code').fill(codeOf(key).replace(/^(...)/, '$1 '));
    await press('Turn on');
    assert.equal(await app.getByText('Two-step sign-in is on.').isVisible(), true);

    const first = await listed();
    assert.equal(new Set(first).size, 12);
    const [file] = await Promise.all([page.waitForEvent('download'), codes.getByRole('link', { name: 'Download' }).click()]);
    const kept = await readFile(await file.path(), 'utf8');
    assert.equal(first.every((code) => kept.includes(`\n${code}\n`)), true, 'every code is in the file');
    assert.equal(await codes.getByRole('button', { name: 'Copy' }).isVisible(), javaScriptEnabled);
    await Promise.all([page.waitForNavigation(), page.getByRole('link', { name: 'I have saved them' }).click()]);
    assert.deepEqual(await listed(), [], 'shown once');

    // Elsewhere: the password alone is not enough, and a backup code is one choice away.
    await context.clearCookies();
    await settings();
    await page.getByLabel('Email address').fill(person.email);
    await page.locator('input[name="password"]').fill(person.password);
    await press('Sign in');
    assert.equal(await heading(), 'Enter your code');
    assert.equal(await page.getByText(person.email).isVisible(), true, 'it says whose account it is');
    await page.getByLabel('Code from the app').fill('000000');
    await press('Continue');
    assert.equal(await page.getByText('That code is not right.').isVisible(), true);
    await page.getByText('Use a backup code').click();
    assert.equal(await page.getByLabel('Code from the app').isVisible(), false, 'one code is asked for at a time');
    await page.getByLabel('Backup code').fill('nonsense');
    await press('Continue');
    assert.equal(await page.getByText('That is not one of your backup codes.').isVisible(), true, 'the refused way is open');
    await page.getByLabel('Backup code').fill(first[0]);
    await press('Continue');
    assert.equal(await heading(), 'Sign-in & profile');

    await codes.getByText('Show or renew the codes').click();
    await press('Show the backup codes');
    assert.match((await listed())[0], /^Used \d+ \w+$/);
    assert.deepEqual((await listed()).slice(1), first.slice(1));
    await codes.getByText('Make new codes').click();
    await press('Make new backup codes');
    assert.equal(await codes.getByText('Not in use yet').isVisible(), true);
    const second = await listed();
    assert.equal(second.some((code) => first.includes(code)), false);
    await press('I have saved them');
    assert.equal(await codes.getByText('Your new backup codes work from now on.').isVisible(), true);

    await app.getByText('Manage').click();
    assert.equal(await app.getByText('no code from the app is asked for any more').isVisible(), true, 'said before it is done');
    await press('Remove the authenticator app');
    assert.equal(await app.getByText('The authenticator app is removed.').isVisible(), true);
    assert.notEqual(await page.locator('#totp_secret_key').innerText(), key, 'a new key waits');
    await codes.getByText('Turn backup codes off').click();
    await press('Turn off backup codes');
    assert.equal(await codes.getByText('Backup codes are off.').isVisible(), true);
    assert.equal(await codes.getByText('No backup codes yet').isVisible(), true);
    assert.deepEqual(refused, [], 'nothing was refused by the content security policy');
    await context.close();
  });
}
