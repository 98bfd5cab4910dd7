// Starts the server under test in a folder of its own and stops it again.
// The walks and the pictures use it; the program comes from KEYWARD_TEST_SERVER, which `cargo xtask` sets.
// Knows the command line and the printed address, nothing of the pages.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BUILT = fileURLToPath(new URL('../../target/debug/keyward', import.meta.url));
const UNTIL_READY_MS = 30_000;
const UNTIL_STOPPED_MS = 15_000;

/**
 * A `quickstart` on free ports. `signIn` is the address that it printed, `origin` is where its pages live.
 * `env` overrides configuration keys. Always call `stop`, which fails when the program does not end cleanly.
 */
export async function startServer({ env = {} } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'keyward-walk-'));
  const [port, adminPort] = await freePorts(2);
  const program = process.env.KEYWARD_TEST_SERVER ?? BUILT;
  const options = ['quickstart', '--port', `${port}`, '--admin-port', `${adminPort}`, '--data', join(folder, 'data')];
  // The breach lookup would only wait for a network that tests do not use.
  const settings = { SELFSERVICE_METHODS_PASSWORD_CONFIG_HAVEIBEENPWNED_ENABLED: 'false', ...env };
  const child = spawn(program, options, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...settings } });

  const log = [];
  const ended = new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', (error) => resolve({ error }));
  });
  const stop = async () => {
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), UNTIL_STOPPED_MS);
    const end = await ended;
    clearTimeout(late);
    await rm(folder, { recursive: true, force: true });
    if (end.code !== 0) throw new Error(`the server ended with ${end.error ?? end.signal ?? end.code}:\n${log.slice(-20).join('\n')}`);
  };

  try {
    const addresses = await printedAddresses(child, log, ended);
    return { ...addresses, origin: new URL(addresses.signIn).origin, adminOrigin: `http://127.0.0.1:${adminPort}`, log, stop };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}

/** Resolves with the printed address; rejects when the program ends or is silent for too long. */
function printedAddresses(child, log, ended) {
  const found = {};
  return new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`the server ${why}:\n${log.slice(-20).join('\n')}`));
    const late = setTimeout(() => fail(`printed no addresses within ${UNTIL_READY_MS} ms`), UNTIL_READY_MS);
    ended.then(({ error }) => fail(`could not start or ended early${error ? ` (${error.message})` : ''}`)).finally(() => clearTimeout(late));
    createInterface({ input: child.stderr }).on('line', (line) => log.push(line));
    createInterface({ input: child.stdout }).on('line', (line) => {
      log.push(line);
      const address = line.match(/http:\/\/\S+/)?.[0];
      if (!address) return;
      if (/sign[ -]in/i.test(line)) found.signIn ??= address;
      if (found.signIn) {
        clearTimeout(late);
        resolve(found);
      }
    });
  });
}

/** Held at the same time, so that they differ. */
async function freePorts(count) {
  const sockets = await Promise.all(
    Array.from({ length: count }, () => new Promise((resolve, reject) => {
      const socket = createServer().once('error', reject).listen(0, '127.0.0.1', () => resolve(socket));
    })),
  );
  const ports = sockets.map((socket) => socket.address().port);
  await Promise.all(sockets.map((socket) => new Promise((resolve) => { socket.close(resolve); })));
  return ports;
}
