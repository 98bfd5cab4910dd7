// Texts that come from outside, shown by a real browser: none of them may run, load or lead anywhere.
// Every way in that a stranger has: traits, what a device calls itself, refused fields, addresses of pages.
// Looks at what the browser does, not at how the page is written.
// cases: AC-100

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newPerson, openBrowser, signUp, submit } from './browser.mjs';
import { startServer } from './server.mjs';

const HOSTILE = [
  '<script>globalThis.ran=1</script>',
  '"><img src=/x-loaded onerror=globalThis.ran=1>',
  '\' onfocus=globalThis.ran=1 autofocus x=\'',
  '</textarea></title></style></script><svg onload=globalThis.ran=1>',
  'javascript:globalThis.ran=1',
  '<base href=//evil.example/><meta http-equiv=refresh content="0;url=//evil.example/">',
  '<iframe srcdoc="<script>parent.ran=1</script>"></iframe><style>@import "//evil.example/x"</style>',
  '{{constructor.constructor("globalThis.ran=1")()}}${globalThis.ran=1}',
];

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

/** A page that notes everything that should not happen. */
async function watched(userAgent) {
  const context = await browser.newContext({ locale: 'en', userAgent });
  const page = await context.newPage();
  const trouble = [];
  page.on('dialog', (dialog) => { trouble.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on('pageerror', (error) => trouble.push(`script error: ${error.message}`));
  // A refused inline script would be reported here: the page tried to run one.
  page.on('console', (message) => /Content Security Policy/.test(message.text()) && trouble.push(message.text()));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== server.origin || url.pathname === '/x-loaded') trouble.push(`request: ${request.url()}`);
  });
  const look = async (what) => {
    assert.equal(await page.evaluate(() => globalThis.ran), undefined, `${what}: a text ran`);
    const attributes = await page.evaluate(() => [...document.querySelectorAll('*')].flatMap((element) => [...element.attributes]
      .filter(({ name, value }) => /^on/i.test(name) || (/^(href|src|action|formaction)$/i.test(name) && /^\s*javascript:/i.test(value)))
      .map(({ name, value }) => `${element.tagName} ${name}=${value}`)));
    assert.deepEqual(attributes, [], what);
    assert.deepEqual(trouble, [], what);
    assert.equal(new URL(page.url()).origin, server.origin, what);
  };
  return { page, look, close: () => context.close() };
}

test('hostile traits and devices are shown as what they are', async () => {
  for (const text of HOSTILE) {
    const { page, look, close } = await watched(text);
    await signUp(page, server.origin, newPerson());
    await page.goto(`${server.origin}/self-service/settings/browser`);
    await page.fill('[name="traits.name.first"]', text);
    await submit(page, 'profile');
    assert.equal(await page.inputValue('[name="traits.name.first"]'), text);
    await look(`settings with ${text}`);
    await page.goto(`${server.origin}/ui/sessions`);
    await look(`devices with ${text}`);
    await page.goto(`${server.origin}/ui/`);
    await look(`home with ${text}`);
    await close();
  }
});

test('refused fields and addresses of pages are inert', async () => {
  for (const text of HOSTILE) {
    const { page, look, close } = await watched();
    await page.goto(`${server.origin}/self-service/login/browser`);
    await page.fill('[name="identifier"]', text);
    await page.fill('[name="password"]', 'wrong 4 horse battery');
    await submit(page, 'password');
    assert.equal(await page.inputValue('[name="identifier"]'), text);
    await look(`sign-in with ${text}`);
    const encoded = encodeURIComponent(text);
    for (const path of ['/ui/error?id=', '/ui/login?flow=', '/ui/registration?flow=', '/ui/nowhere/', '/self-service/login/browser?return_to=', '/ui/sessions?ended=one&device=']) {
      await page.goto(server.origin + path + encoded);
      await look(path + text);
    }
    await close();
  }
});
