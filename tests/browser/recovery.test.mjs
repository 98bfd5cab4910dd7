// Mail on the built-in pages, in a real browser: an address is confirmed from the mailbox, and a forgotten password is replaced.
// Run with scripts and without, on a quickstart, whose mailbox is a page of its own.
// Knows the pages as a person does, by their headings, labels and buttons.
// cases

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { accessibilityFaults, newPerson, openBrowser } from './browser.mjs';
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

/** The latest mail to somebody, opened in a tab of its own: what it says. */
const latestMail = async (context, email) => {
  const tab = await context.newPage();
  await tab.goto(`${server.origin}/ui/mailbox`);
  await Promise.all([tab.waitForNavigation(), tab.getByRole('link', { name: email }).first().click()]);
  const text = await tab.locator('main').innerText();
  return { tab, text, code: text.match(/\b\d{6}\b/)[0] };
};

for (const javaScriptEnabled of [true, false]) {
  test(`confirm an address, forget a password and come back ${javaScriptEnabled ? 'with' : 'without'} scripts`, async () => {
    const context = await browser.newContext({ javaScriptEnabled, locale: 'en' });
    const page = await context.newPage();
    const refused = [];
    page.on('console', (message) => message.type() === 'error' && refused.push(message.text()));
    const person = newPerson();
    const press = (name) => Promise.all([page.waitForNavigation(), page.getByRole('button', { name, exact: true }).click()]);
    const heading = () => page.locator('h1').innerText();
    const faultless = async () => javaScriptEnabled && assert.deepEqual(await accessibilityFaults(page), []);

    await page.goto(`${server.origin}/self-service/registration/browser`);
    await page.getByLabel('Email address').fill(person.email);
    await page.locator('input[name="password"]').fill(person.password);
    await press('Create account');

    // The link of the mail fills in the code, and the person confirms.
    const welcome = await latestMail(context, person.email);
    const link = welcome.text.match(/http:\/\/\S+code=\d{6}\S*/)[0];
    await welcome.tab.close();
    await page.goto(link);
    assert.equal(await page.locator('input[name="code"]').inputValue(), welcome.code);
    await faultless();
    await press('Confirm address');
    assert.equal(await page.getByText('The email address is confirmed.').locator('visible=true').count(), 1);
    await faultless();

    await context.clearCookies();
    await page.goto(`${server.origin}/self-service/login/browser`);
    await Promise.all([page.waitForNavigation(), page.getByRole('link', { name: /forgot/i }).click()]);
    await page.getByLabel('Email address').fill(person.email);
    await faultless();
    await press('Send the code');
    const { code, tab } = await latestMail(context, person.email);
    await tab.close();
    const wrong = `${(Number(code) + 1) % 1_000_000}`.padStart(6, '0');
    await page.locator('input[name="code"]').fill(wrong);
    await press('Continue');
    assert.equal(await page.locator('input[name="code"]').getAttribute('aria-invalid'), 'true', 'a wrong code is told');
    assert.equal(await page.getByText('That code is not right').locator('visible=true').count(), 1);
    await faultless();
    await page.locator('input[name="code"]').fill(code);
    await press('Continue');
    assert.match(new URL(page.url()).pathname, /settings/, `back in: ${await heading()}`);
    const renewed = 'walk 6 mornings, slowly';
    if (!(await page.locator('#password input[name="password"]').isVisible())) await page.locator('#password summary').click();
    await page.locator('#password input[name="password"]').fill(renewed);
    await press('Save the password');
    assert.equal(await page.getByText('Your changes are saved.').locator('visible=true').count(), 1);

    await context.clearCookies();
    await page.goto(`${server.origin}/self-service/login/browser`);
    await page.getByLabel('Email address').fill(person.email);
    await page.locator('input[name="password"]').fill(renewed);
    await press('Sign in');
    await page.goto(`${server.origin}/self-service/settings/browser`);
    assert.equal(await page.getByLabel('Email address').inputValue(), person.email);
    assert.deepEqual(refused, [], 'nothing was refused by the content security policy');
    await context.close();
  });
}
