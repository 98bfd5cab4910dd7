// A passkey through the API, as an app with a session token: register it, sign in with it, rename and remove it.
// The authenticator is this file: a P-256 key and a little CBOR (RFC 8949), as Web Authentication Level 3 asks for them.
// Needs a running server with `selfservice.methods.passkey.enabled` and an `rp.id` that fits its address.
// Usage: node docs/walk/passkey.mjs [public address]
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";

const address = new URL(process.argv[2] ?? "http://localhost:4433");
const email = `passkey-${randomBytes(4).toString("hex")}@example.org`;
const password = "walk 6 mornings, slowly";

const sha256 = (data) => createHash("sha256").update(data).digest();
const base64url = (data) => Buffer.from(data).toString("base64url");

/** CBOR of what an authenticator says: numbers, bytes, texts and maps, none of them long. */
function cbor(value) {
  const head = (major, size) => {
    if (size < 24) return Buffer.from([(major << 5) | size]);
    return size < 256 ? Buffer.from([(major << 5) | 24, size]) : Buffer.from([(major << 5) | 25, size >> 8, size & 255]);
  };
  if (typeof value === "number") return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === "string") return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value]);
  return Buffer.concat([head(5, value.size), ...[...value].flat().map(cbor)]);
}

const PRESENT_AND_VERIFIED = 0b101;
const WITH_CREDENTIAL = 0b1000000;

/** A device that keeps one passkey. */
class Authenticator {
  #keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  #id = randomBytes(32);
  #userHandle;
  #count = 0;

  /** The hexadecimal form of the passkey's id, by which the server lists it. */
  get hex() {
    return this.#id.toString("hex");
  }

  create({ rp, user, challenge }) {
    this.#userHandle = user.id;
    const { x, y } = this.#keys.publicKey.export({ format: "jwk" });
    // COSE: an elliptic curve (2) for ES256 (-7), which is P-256 (1), and the two coordinates.
    const key = new Map([[1, 2], [3, -7], [-1, 1], [-2, Buffer.from(x, "base64url")], [-3, Buffer.from(y, "base64url")]]);
    const credential = Buffer.concat([Buffer.alloc(16), Buffer.from([0, this.#id.length]), this.#id, cbor(key)]);
    const authData = Buffer.concat([this.#data(rp.id, WITH_CREDENTIAL), credential]);
    return this.#answer("webauthn.create", challenge, () => ({
      attestationObject: base64url(cbor(new Map([["fmt", "none"], ["attStmt", new Map()], ["authData", authData]]))),
      transports: ["internal"],
    }));
  }

  get({ rpId, challenge }) {
    const authData = this.#data(rpId, 0);
    return this.#answer("webauthn.get", challenge, (clientData) => ({
      authenticatorData: base64url(authData),
      signature: base64url(sign("sha256", Buffer.concat([authData, sha256(clientData)]), this.#keys.privateKey)),
      userHandle: this.#userHandle,
    }));
  }

  #data(rpId, flags) {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(this.#count++);
    return Buffer.concat([sha256(rpId), Buffer.from([PRESENT_AND_VERIFIED | flags]), counter]);
  }

  #answer(type, challenge, respond) {
    const clientData = JSON.stringify({ type, challenge, origin: address.origin, crossOrigin: false });
    const id = base64url(this.#id);
    return JSON.stringify({ id, rawId: id, type: "public-key", response: { clientDataJSON: base64url(clientData), ...respond(clientData) } });
  }
}

async function call(path, { token, body } = {}) {
  const headers = { Accept: "application/json", ...(token && { "X-Session-Token": token }), ...(body && { "Content-Type": "application/json" }) };
  const response = await fetch(new URL(path, address), { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  return { status: response.status, answer: await response.json() };
}
const start = async (flow, token) => (await call(`/self-service/${flow}/api`, { token })).answer;
const submit = (name, flow, body, token) => call(`/self-service/${name}?flow=${flow.id}`, { token, body });
const node = (flow, name) => flow.ui.nodes.find(({ attributes }) => attributes.name === name);
const options = (flow, name) => JSON.parse(node(flow, name).attributes.value).publicKey;

const signedUp = await submit("registration", await start("registration"), { method: "password", password, traits: { email } });
const token = signedUp.answer.session_token;
assert.match(token, /^ory_st_/, `sign up answered ${signedUp.status}`);
console.log(`signed up as ${email}`);

const device = new Authenticator();
const settings = await start("settings", token);
const made = device.create(options(settings, "passkey_create_data"));
const added = await submit("settings", settings, { method: "passkey", passkey_settings_register: made }, token);
assert.equal(added.status, 200, JSON.stringify(added.answer));
assert.equal(node(added.answer, "passkey_remove").attributes.value, device.hex);
console.log("the passkey is registered");

const login = await start("login");
const answer = device.get(options(login, "passkey_challenge"));
const entered = await submit("login", login, { method: "passkey", passkey_login: answer });
assert.equal(entered.status, 200, JSON.stringify(entered.answer));
assert.deepEqual(entered.answer.session.authentication_methods.map(({ method }) => method), ["passkey"]);
assert.equal(entered.answer.session.identity.traits.email, email);
console.log("signed in with the passkey, without an address and without a password");

const replayed = await submit("login", await start("login"), { method: "passkey", passkey_login: answer });
assert.equal(replayed.status, 400, "an answer counts for one challenge");
assert.deepEqual(replayed.answer.ui.messages.map(({ id }) => id), [4000043]);
console.log("the same answer is refused a second time");

const again = await start("settings", token);
const renamed = await submit("settings", again, { method: "passkey", passkey_rename: device.hex, passkey_display_name: "Walking stick" }, token);
assert.equal(renamed.status, 200, JSON.stringify(renamed.answer));
assert.equal(node(renamed.answer, "passkey_remove").meta.label.context.display_name, "Walking stick");
console.log("renamed to “Walking stick”");

const removed = await submit("settings", again, { method: "passkey", passkey_remove: device.hex }, token);
assert.equal(removed.status, 200, JSON.stringify(removed.answer));
assert.equal(node(removed.answer, "passkey_remove"), undefined);
const late = await start("login");
const gone = await submit("login", late, { method: "passkey", passkey_login: device.get(options(late, "passkey_challenge")) });
assert.equal(gone.status, 400);
console.log("removed");
