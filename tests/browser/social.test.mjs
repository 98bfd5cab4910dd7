// Signing in with an account elsewhere, in a real browser and at a real OpenID provider: sign up, out and in, connect and disconnect,
// say no there, tell what the provider does not know, and meet an account that has the same address.
// Run with scripts and without, on a quickstart that is told of the provider by its environment.
// Knows the pages as a person does, by their headings, labels and buttons.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { accessibilityFaults, newPerson, openBrowser, signUp } from './browser.mjs';
import { startProvider } from './provider.mjs';
import { startServer } from './server.mjs';

const THERE = 'Example Provider';

let provider;
let server;
let browser;
before(async () => {
  provider = await startProvider();
  server = await startServer({ env: provider.env });
  provider.serve(server.origin);
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
  await provider?.stop();
});

/** A browser of its own, and the few things that a person does with it. */
const visitor = async (javaScriptEnabled) => {
  const context = await browser.newContext({ javaScriptEnabled, locale: 'en' });
  const page = await context.newPage();
  // What the content security policy stops may never arrive: a complaint ends the wait and fails the walk.
  const stopped = new Promise((_, reject) => {
    page.on('console', (message) => /content security policy/i.test(message.text()) && reject(new Error(message.text())));
  });
  stopped.catch(() => {});
  const follow = (control) => Promise.race([stopped, Promise.all([page.waitForNavigation(), control.click()])]);
  const press = (name) => follow(page.getByRole('button', { name, exact: true }));
  return {
    context,
    page,
    press,
    follow,
    start: (flow) => page.goto(`${server.origin}/self-service/${flow}/browser`),
    heading: () => page.locator('h1').innerText(),
    section: () => page.locator('#oidc'),
    faultless: async () => javaScriptEnabled && assert.deepEqual(await accessibilityFaults(page), []),
    /** Says at the provider who one is, and whether they may know it here. */
    async answer(account, button) {
      assert.equal(new URL(page.url()).origin, provider.issuer, `at the provider, not at ${page.url()}`);
      await page.getByLabel('Account').fill(account);
      await press(button);
      assert.equal(new URL(page.url()).origin, server.origin, 'back from the provider');
    },
    async identity() {
      const session = await page.request.get(`${server.origin}/sessions/whoami`);
      return session.status() === 200 ? (await session.json()).identity : undefined;
    },
    end: () => Promise.race([stopped, context.close()]),
  };
};

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with' : 'without';

  test(`sign up, out and in at a provider, disconnect and connect it ${how} scripts`, async () => {
    const { page, press, follow, start, section, faultless, answer, identity, end } = await visitor(javaScriptEnabled);
    const disconnects = page.locator('button[name="unlink"]');
    const { email, password } = newPerson();

    await start('registration');
    await faultless();
    await press(`Sign up with ${THERE}`);
    await answer(email, 'Agree');
    const own = await identity();
    assert.equal(own?.traits.email, email, `signed in at ${page.url()}`);
    assert.equal(own.verifiable_addresses[0].verified, true, 'the provider vouches for the address');

    await start('settings');
    assert.equal(await disconnects.count(), 0, 'the only way in stays');
    await follow(page.getByRole('link', { name: 'Sign out' }));
    assert.equal(await identity(), undefined);

    // The provider remembers who this is, and nothing is asked.
    await start('login');
    await press(`Continue with ${THERE}`);
    assert.equal((await identity())?.id, own.id);

    await start('settings');
    if (!(await page.locator('#password input[name="password"]').isVisible())) await page.locator('#password summary').click();
    await page.locator('#password input[name="password"]').fill(password);
    await press('Save the password');
    assert.equal(await disconnects.count(), 1, 'with another way in it may go');
    await section().locator('summary').click();
    await press(`Disconnect ${THERE}`);
    assert.equal(await section().getByText('Not connected').count(), 1);
    await press(`Connect ${THERE}`);
    assert.equal(await section().getByText('Your changes are saved.').locator('visible=true').count(), 1, `said at ${page.url()}`);
    assert.equal(await section().getByText('1 connected').count(), 1);
    await section().locator('summary').click();
    await faultless();
    await end();
  });

  test(`say no at the provider, then yes, and tell what it does not know ${how} scripts`, async () => {
    const { page, press, start, heading, faultless, answer, identity, end } = await visitor(javaScriptEnabled);
    const { email } = newPerson();
    const [account] = email.split('@');

    await start('login');
    await press(`Continue with ${THERE}`);
    await answer(account, 'Refuse');
    assert.equal(await heading(), 'Sign in');
    assert.match(await page.title(), /^Error: /);
    assert.equal(await page.locator('[data-errors]').locator('visible=true').count(), 1);
    assert.equal(await identity(), undefined);
    await faultless();

    await press(`Continue with ${THERE}`);
    await answer(account, 'Agree');
    assert.equal(await heading(), 'Almost done');
    assert.equal(await identity(), undefined, 'half an account is none');
    await faultless();
    await page.getByLabel('Email address').fill(email);
    await press('Continue');
    const own = await identity();
    assert.equal(own?.traits.email, email, `signed in at ${page.url()}`);
    assert.equal(own.verifiable_addresses[0].verified, false, 'nobody vouches for what was typed');
    await end();
  });

  test(`an address that has an account is connected by signing in to it ${how} scripts`, async () => {
    const { context, page, press, start, heading, section, faultless, answer, identity, end } = await visitor(javaScriptEnabled);
    const person = newPerson();
    await signUp(page, server.origin, person);
    const own = await identity();
    await context.clearCookies();

    await start('login');
    await press(`Continue with ${THERE}`);
    await answer(person.email, 'Agree');
    assert.equal(await heading(), 'You already have an account');
    assert.equal(await page.getByText(`${person.email} belongs to an account here.`).count(), 1);
    assert.equal(await identity(), undefined, 'nobody is signed in by an address alone');
    await faultless();
    await page.locator('input[name="password"]').fill('not the password of the account');
    await press('Sign in and connect');
    assert.match(await page.title(), /^Error: You already have an account/);
    await page.locator('input[name="password"]').fill(person.password);
    await press('Sign in and connect');
    assert.equal((await identity())?.id, own.id);

    await start('settings');
    assert.equal(await section().getByText('1 connected').count(), 1);
    await context.clearCookies();
    await start('login');
    await press(`Continue with ${THERE}`);
    await answer(person.email, 'Agree');
    assert.equal((await identity())?.id, own.id, 'from then on either way leads in');
    await end();
  });
}
