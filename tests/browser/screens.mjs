// Photographs every page at two widths, light and dark, into docs/screens, and checks each for accessibility.
// Run by `cargo xtask screens [PAGE...]`; fails when a page cannot be reached, has a fault or makes too large a picture.
// Enters pages as a person does, through the self-service addresses and the links on the page.

import { mkdir, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { codeOf } from './authenticator.mjs';
import { accessibilityFaults, newPerson, openBrowser, signUp, submit } from './browser.mjs';
import { addAuthenticator } from './keys.mjs';
import { startServer } from './server.mjs';

const FOLDER = fileURLToPath(new URL('../../docs/screens/', import.meta.url));
const WIDTHS = [390, 1280];
const THEMES = ['light', 'dark'];
const TALLEST = 2400;
const LARGEST_BYTES = 300 * 1024;

const start = (flow) => ({ page, server }) => page.goto(`${server.origin}/self-service/${flow}/browser`);

/** Opens the account page that a link of the settings page leads to, found by what stands in the link's address. */
const account = (...paths) => async (world) => {
  await start('settings')(world);
  const link = world.page.locator(paths.map((path) => `a[href*="${path}"]`).join(', ')).first();
  await Promise.all([world.page.waitForNavigation(), link.click()]);
};

/** Asks for a code, each time to another address: the page is the same for those that nobody has. */
const askForCode = (flow) => async ({ page, server }) => {
  await start(flow)({ page, server });
  await page.fill('[name="email"]', newPerson().email);
  await submit(page, 'code');
};

/** Types the password of someone with a second step. */
const secondStep = async ({ page, server, careful }) => {
  await start('login')({ page, server });
  await page.fill('[name="identifier"]', careful.email);
  await page.fill('[name="password"]', careful.password);
  await submit(page, 'password');
};

/** Presses the button of a dialog of the browser and waits for the page that answers. */
const ceremony = (page, name) => Promise.all([page.waitForNavigation(), page.click(`[name="${name}"]`)]);

/** Opens the row of the settings page with this button and presses it. */
const pressInRow = async ({ page }, name) => {
  const button = page.locator(`button[name="${name}"]`);
  await page.locator('details', { has: button }).locator('summary').click();
  await Promise.all([page.waitForNavigation(), button.click()]);
};

/**
 * Each: name of the picture, whose session is needed (`plain`, `careful` with an app and codes, `keyed` with passkeys and a key), the
 * way there, and the part of the page that matters where it is not the whole.
 */
const PAGES = [
  { name: 'sign-in', open: start('login') },
  {
    name: 'sign-in-refused',
    async open({ page, server, person }) {
      await start('login')({ page, server });
      await page.fill('[name="identifier"]', person.email);
      await page.fill('[name="password"]', 'not the password');
      await submit(page, 'password');
    },
  },
  { name: 'sign-up', open: start('registration') },
  {
    name: 'sign-up-refused',
    async open({ page, server, person }) {
      await start('registration')({ page, server });
      await page.fill('[name="traits.email"]', person.email);
      await page.fill('[name="password"]', 'short');
      await submit(page, 'password');
    },
  },
  { name: 'recovery', open: start('recovery') },
  { name: 'recovery-code', open: askForCode('recovery') },
  { name: 'verification', open: start('verification') },
  { name: 'verification-code', open: askForCode('verification') },
  {
    name: 'mailbox',
    async open({ page, server }) {
      await page.goto(`${server.origin}/ui/mailbox`);
      await Promise.all([page.waitForNavigation(), page.locator('main a[href*="message="]').first().click()]);
    },
  },
  { name: 'error', open: ({ page, server }) => page.goto(`${server.origin}/self-service/login/browser?return_to=https://elsewhere.example/`) },
  { name: 'second-step', open: secondStep },
  {
    name: 'second-step-refused',
    async open(world) {
      await secondStep(world);
      await world.page.locator('.way:not([open]) > summary').click();
      await world.page.fill('[name="lookup_secret"]', 'nonsense');
      await submit(world.page, 'lookup_secret');
    },
  },
  { name: 'settings', signedIn: 'plain', open: start('settings') },
  {
    name: 'settings-second-step',
    signedIn: 'careful',
    async open(world) {
      await start('settings')(world);
      for (const row of await world.page.locator('#totp summary, #lookup_secret summary').all()) await row.click();
    },
  },
  {
    name: 'backup-codes',
    signedIn: 'careful',
    async open(world) {
      await start('settings')(world);
      await pressInRow(world, 'lookup_secret_reveal');
    },
  },
  {
    name: 'backup-codes-new',
    signedIn: 'careful',
    async open(world) {
      await start('settings')(world);
      await pressInRow(world, 'lookup_secret_reveal');
      await pressInRow(world, 'lookup_secret_regenerate');
    },
  },
  {
    name: 'passkeys',
    signedIn: 'keyed',
    part: '#passkey',
    async open(world) {
      await start('settings')(world);
      await world.page.locator('#passkey summary').first().click();
    },
  },
  {
    name: 'security-keys',
    signedIn: 'keyed',
    part: '#webauthn',
    async open(world) {
      await start('settings')(world);
      await world.page.locator('#webauthn summary').first().click();
    },
  },
  {
    name: 'passkey-refused',
    signedIn: 'keyed',
    part: '#passkey',
    async open(world) {
      await (await addAuthenticator(world.page)).knows(false);
      await start('settings')(world);
      await world.page.click('[name="passkey_register_trigger"]');
      await world.page.waitForSelector('#passkey [role=alert]');
    },
  },
  { name: 'second-step-key', open: ({ keyed, ...world }) => secondStep({ ...world, careful: keyed }) },
  { name: 'step-up-keys', signedIn: 'keyed', open: ({ page, server }) => page.goto(`${server.origin}/self-service/login/browser?refresh=true`) },
  { name: 'step-up', signedIn: 'plain', open: ({ page, server }) => page.goto(`${server.origin}/self-service/login/browser?refresh=true`) },
  { name: 'sessions', signedIn: 'plain', open: account('/sessions', '/devices') },
  { name: 'home', signedIn: 'plain', open: ({ page, server }) => page.goto(`${server.origin}/ui/`) },
  { name: 'not-found', open: ({ page, server }) => page.goto(`${server.origin}/ui/nothing-here`) },
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !PAGES.some((page) => page.name === name));
if (unknown.length > 0) {
  console.error(`there is no page ${unknown.join(', ')}; there are ${PAGES.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const pages = PAGES.filter(({ name }) => wanted.length === 0 || wanted.includes(name));

await mkdir(FOLDER, { recursive: true });
const faults = [];
const server = await startServer();
const browser = await openBrowser();
try {
  const person = newPerson();
  const first = await browser.newContext();
  await signUp(await first.newPage(), server.origin, person);
  const sessions = { plain: await first.storageState() };
  await first.close();
  const careful = newPerson();
  const second = await browser.newContext();
  sessions.careful = await enrol(await second.newPage(), server, careful);
  await second.close();
  const keyed = newPerson();
  const third = await browser.newContext();
  sessions.keyed = await collect(await third.newPage(), server, keyed);
  await third.close();

  for (const width of WIDTHS) {
    for (const theme of THEMES) {
      for (const { name, signedIn, open, part } of pages) {
        const look = { viewport: { width, height: width < 600 ? 844 : 800 }, colorScheme: theme, reducedMotion: 'reduce', locale: 'en' };
        const context = await browser.newContext({ ...look, ...(signedIn ? { storageState: sessions[signedIn] } : {}) });
        const page = await context.newPage();
        page.setDefaultTimeout(10_000);
        const shot = `${name}-${width}-${theme}`;
        try {
          await open({ page, server, person, careful, keyed });
          faults.push(...(await photograph(page, shot, part)));
        } catch (error) {
          faults.push(`${shot}: could not be opened: ${error.message.split('\n')[0]} (at ${page.url()})`);
        } finally {
          await context.close();
        }
      }
    }
  }
} finally {
  await browser.close();
  await server.stop();
}

if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exitCode = 1;
} else {
  console.log(`${pages.length * WIDTHS.length * THEMES.length} pictures in docs/screens, no accessibility faults`);
}

/** Signs someone up who has an authenticator app and backup codes, one of which is used; returns the session. */
async function enrol(page, server, careful) {
  await signUp(page, server.origin, careful);
  await start('settings')({ page, server });
  const key = await page.locator('#totp_secret_key').innerText();
  await page.fill('[name="totp_code"]', codeOf(key));
  await submit(page, 'totp');
  const code = await page.locator('ol.codes li').first().innerText();
  await page.context().clearCookies();
  await secondStep({ page, server, careful });
  await page.locator('.way:not([open]) > summary').click();
  await page.fill('[name="lookup_secret"]', code);
  await submit(page, 'lookup_secret');
  return page.context().storageState();
}

/** Signs someone up who has two passkeys, one with a name, and a security key; returns the session. */
async function collect(page, server, keyed) {
  await signUp(page, server.origin, keyed);
  await start('settings')({ page, server });
  for (const name of ['Work laptop', '']) {
    const lock = await addAuthenticator(page);
    await ceremony(page, 'passkey_register_trigger');
    await lock.remove();
    if (name === '') continue;
    const row = page.locator('#passkey ul.rows > li');
    await row.locator('summary').click();
    await row.locator('[name="passkey_display_name"]').fill(name);
    await Promise.all([page.waitForNavigation(), row.locator('[name="passkey_rename"]').click()]);
  }
  await addAuthenticator(page, { key: true });
  await page.fill('#webauthn [name="webauthn_register_displayname"]', 'Blue key');
  await ceremony(page, 'webauthn_register_trigger');
  return page.context().storageState();
}

/** Where a part of the page stands, with some air around it. */
async function frame(page, part) {
  const { y, height } = await page.locator(part).boundingBox();
  return { y: y + (await page.evaluate(() => scrollY)) - 16, height: height + 32 };
}

async function photograph(page, shot, part) {
  const found = (await accessibilityFaults(page)).map((fault) => `${shot}: ${fault}`);
  const { width, height, overflow } = await page.evaluate(() => ({
    width: innerWidth,
    height: document.documentElement.scrollHeight,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  }));
  if (overflow > 0) found.push(`${shot}: scrolls sideways by ${overflow} px`);
  const path = `${FOLDER}${shot}.png`;
  const { y, height: all } = part ? await frame(page, part) : { y: 0, height };
  const clip = { x: 0, y, width, height: Math.min(all, TALLEST) };
  await page.screenshot({ path, clip, fullPage: true, scale: 'css', animations: 'disabled', caret: 'hide' });
  const { size } = await stat(path);
  if (size > LARGEST_BYTES) found.push(`${shot}: ${size} bytes are too many for a picture that lives in git`);
  return found;
}
