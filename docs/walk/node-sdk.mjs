// The settings flow through the official Node SDK (@ory/client), as an app with a session token.
// Needs a running server (cargo run --release -- quickstart) and `npm ci` in tests/browser.
// Usage: node docs/walk/node-sdk.mjs [public address]
import assert from "node:assert/strict";
import { createRequire } from "node:module";

// The SDK is installed for the tests; a project of your own would simply import it.
const require = createRequire(new URL("../../tests/browser/package.json", import.meta.url));
const { Configuration, FrontendApi } = require("@ory/client");

const basePath = process.argv[2] ?? "http://localhost:4433";
const frontend = new FrontendApi(new Configuration({ basePath }));
const email = `sdk-${Date.now()}-${Math.floor(Math.random() * 1e6)}@example.org`;
const password = "walk 4 mornings, slowly";

const { data: registration } = await frontend.createNativeRegistrationFlow();
const { data: registered } = await frontend.updateRegistrationFlow({
  flow: registration.id,
  updateRegistrationFlowBody: { method: "password", password, traits: { email, name: { first: "Ada", last: "Walker" } } },
});
const xSessionToken = registered.session_token;
assert.match(xSessionToken, /^ory_st_/);
console.log(`signed up as ${email}`);

const { data: session } = await frontend.toSession({ xSessionToken });
assert.equal(session.identity.traits.email, email);
console.log("the session token is good");

const { data: settings } = await frontend.createNativeSettingsFlow({ xSessionToken });
const { data: changed } = await frontend.updateSettingsFlow({
  flow: settings.id,
  xSessionToken,
  updateSettingsFlowBody: { method: "profile", traits: { email, name: { first: "Augusta", last: "Walker" } } },
});
assert.equal(changed.state, "success");
assert.equal(changed.identity.traits.name.first, "Augusta");
console.log("profile changed");

const renewed = "walk 5 evenings, slowly";
const { data: secured } = await frontend.updateSettingsFlow({
  flow: settings.id,
  xSessionToken,
  updateSettingsFlowBody: { method: "password", password: renewed },
});
assert.equal(secured.state, "success");
console.log("password changed");

const refused = await frontend
  .updateSettingsFlow({ flow: settings.id, xSessionToken, updateSettingsFlowBody: { method: "password", password: "short" } })
  .then(() => assert.fail("a short password was accepted"), (error) => error.response);
assert.equal(refused.status, 400);
const field = refused.data.ui.nodes.find((node) => node.attributes.name === "password");
assert.deepEqual(field.messages.map((message) => message.id), [4000032]);
console.log("a short password is refused, with the reason at its field");

await frontend.performNativeLogout({ performNativeLogoutBody: { session_token: xSessionToken } });
const { data: login } = await frontend.createNativeLoginFlow();
const { data: again } = await frontend.updateLoginFlow({
  flow: login.id,
  updateLoginFlowBody: { method: "password", identifier: email, password: renewed },
});
assert.equal(again.session.identity.id, session.identity.id);
console.log("signed out, and in again with the new password");
