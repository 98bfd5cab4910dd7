// An authenticator app: the code of a key for a moment, RFC 6238 with SHA-1, 30 seconds and 6 digits.
// The walks and the pictures enrol with it.
// Knows keys as pages show them, in base32 and with blanks.

import { createHmac } from 'node:crypto';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The code that an app shows at `at` (milliseconds since 1970). */
export function codeOf(key, at = Date.now()) {
  const bits = [...key.replace(/\s/g, '')].map((letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const secret = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const mac = createHmac('sha1', secret).update(counter).digest();
  return String((mac.readUInt32BE(mac.at(-1) & 15) & 0x7fff_ffff) % 1_000_000).padStart(6, '0');
}
