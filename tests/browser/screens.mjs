// Photographs every page at two widths, light and dark, into docs/screens, and checks each for accessibility.
// Run by `cargo xtask screens [PAGE...]`; fails when a page cannot be reached, has a fault or makes too large a picture.
// Enters pages as a person does, through the self-service addresses and the links on the page.

import { mkdir, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { accessibilityFaults, newPerson, openBrowser, signUp, submit } from './browser.mjs';
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

/** Each: name of the picture, whether someone is signed in, and the way there. */
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
  { name: 'error', open: ({ page, server }) => page.goto(`${server.origin}/self-service/login/browser?return_to=https://elsewhere.example/`) },
  { name: 'settings', signedIn: true, open: start('settings') },
  { name: 'step-up', signedIn: true, open: ({ page, server }) => page.goto(`${server.origin}/self-service/login/browser?refresh=true`) },
  { name: 'sessions', signedIn: true, open: account('/sessions', '/devices') },
  { name: 'home', signedIn: true, open: ({ page, server }) => page.goto(`${server.origin}/ui/`) },
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
  const signedIn = await first.storageState();
  await first.close();

  for (const width of WIDTHS) {
    for (const theme of THEMES) {
      for (const { name, signedIn: needsSession = false, open } of pages) {
        const look = { viewport: { width, height: width < 600 ? 844 : 800 }, colorScheme: theme, reducedMotion: 'reduce', locale: 'en' };
        const context = await browser.newContext({ ...look, ...(needsSession ? { storageState: signedIn } : {}) });
        const page = await context.newPage();
        page.setDefaultTimeout(10_000);
        const shot = `${name}-${width}-${theme}`;
        try {
          await open({ page, server, person });
          faults.push(...(await photograph(page, shot)));
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

async function photograph(page, shot) {
  const found = (await accessibilityFaults(page)).map((fault) => `${shot}: ${fault}`);
  const { width, height, overflow } = await page.evaluate(() => ({
    width: innerWidth,
    height: document.documentElement.scrollHeight,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  }));
  if (overflow > 0) found.push(`${shot}: scrolls sideways by ${overflow} px`);
  const path = `${FOLDER}${shot}.png`;
  const clip = { x: 0, y: 0, width, height: Math.min(height, TALLEST) };
  await page.screenshot({ path, clip, fullPage: true, scale: 'css', animations: 'disabled', caret: 'hide' });
  const { size } = await stat(path);
  if (size > LARGEST_BYTES) found.push(`${shot}: ${size} bytes are too many for a picture that lives in git`);
  return found;
}
