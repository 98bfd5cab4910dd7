// The walks that the documentation shows, run as they stand against a fresh server.
// What they print is what a reader will see; they fail by themselves when an answer is not as they say.
// cases: S-5, S-6, S-45, S-50, S-59, S-63, L-26, L-68, L-84, L-85

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startServer } from './server.mjs';

const run = promisify(execFile);
const walk = (name) => fileURLToPath(new URL(`../../docs/walk/${name}`, import.meta.url));

let server;
before(async () => { server = await startServer(); });
after(async () => { await server?.stop(); });

const RENEWED = /password changed[^]*in again with the new password\n$/;
const PASSKEY = /signed in with the passkey[^]*\nremoved\n$/;
const STEPPED_UP = /backup codes are\n([a-z0-9]{8}\n){12}signed in at aal2[^]*\n$/;

for (const [name, program, ends] of [
  ['browser.sh', 'bash', RENEWED],
  ['api.sh', 'bash', RENEWED],
  ['totp.sh', 'bash', STEPPED_UP],
  ['node-sdk.mjs', process.execPath, RENEWED],
  ['passkey.mjs', process.execPath, PASSKEY],
]) {
  test(`docs/walk/${name}`, async () => {
    const { stdout } = await run(program, [walk(name), server.origin]);
    assert.match(stdout, ends);
  });
}
