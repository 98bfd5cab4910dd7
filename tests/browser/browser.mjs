// Opens the browser that `cargo xtask` found and does the few things that every walk does: sign up, submit a form, check accessibility.
// The walks and the pictures use it.
// Finds fields by the names of the wire, never by wording or style.

import { randomBytes } from 'node:crypto';
import axe from 'axe-core';
import { chromium } from 'playwright-core';

/** One browser for a whole run. It must not call home, and root may not use its sandbox. */
export function openBrowser() {
  const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
  const unsandboxed = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath: process.env.KEYWARD_TEST_CHROMIUM ?? '/usr/bin/chromium', args: [...quiet, ...unsandboxed] });
}

/** Someone who does not exist yet. */
export function newPerson() {
  const mark = randomBytes(4).toString('hex');
  return { email: `ada-${mark}@example.org`, password: `violet ${randomBytes(8).toString('hex')} kettle` };
}

/** Signs up in one step or two, as the page asks, and ends signed in. */
export async function signUp(page, origin, person) {
  await page.goto(`${origin}/self-service/registration/browser`);
  await page.fill('[name="traits.email"]', person.email);
  await fillRequired(page);
  if (!(await page.isVisible('[name="password"]'))) await submit(page, 'profile');
  await page.fill('[name="password"]', person.password);
  await submit(page, 'password');
  const session = await page.request.get(`${origin}/sessions/whoami`);
  if (session.status() !== 200) throw new Error(`signing up left nobody signed in: whoami answers ${session.status()} at ${page.url()}`);
}

/** Clicks the button that submits `method` and waits for the page that answers. */
export async function submit(page, method) {
  const button = page.locator(`button[name="method"][value="${method}"], input[type="submit"][name="method"][value="${method}"]`).first();
  await Promise.all([page.waitForNavigation(), button.click()]);
}

/** Gives every required text that is still empty some text; schemas may ask for a name. */
async function fillRequired(page) {
  for (const field of await page.locator('input[required][name^="traits."]:visible').all()) {
    if ((await field.inputValue()) === '') await field.fill('Ada');
  }
}

/** What axe finds against WCAG 2.2 A and AA, one line each; empty when the page is good. */
export async function accessibilityFaults(page) {
  // Through the debugger: the pages' content security policy rightly forbids added scripts.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
    resultTypes: ['violations'],
  }));
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ target }) => `${id}: ${help} (${target.join(' ')})`));
}
