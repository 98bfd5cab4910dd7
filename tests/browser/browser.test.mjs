// What every walk leans on: the browser starts without the network, and the accessibility check can fail.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { accessibilityFaults, openBrowser } from './browser.mjs';

let browser;
before(async () => { browser = await openBrowser(); });
after(async () => { await browser?.close(); });

const page = (field) => `<!doctype html><html lang="en"><title>Sign in</title><main><h1>Sign in</h1><form>${field}<button>Continue</button></form></main>`;

for (const { what, field, faults } of [
  { what: 'a labelled field is fine', field: '<label>E-mail <input name="identifier"></label>', faults: [] },
  { what: 'a field without a label is a fault', field: '<input name="identifier">', faults: ['label'] },
  { what: 'grey on white is a fault', field: '<p style="color:#bbb;background:#fff">Hint</p>', faults: ['color-contrast'] },
]) {
  test(`accessibility: ${what}`, async () => {
    const tab = await browser.newPage();
    await tab.setContent(page(field));
    const found = await accessibilityFaults(tab);
    assert.deepEqual(found.map((fault) => fault.split(':')[0]), faults);
    await tab.close();
  });
}
