// Authenticators that a browser believes in: the screen lock of a device, or a key to plug in, through the DevTools protocol.
// The walks make and use passkeys and security keys with them.
// Knows nothing of pages; a page has to be on `localhost` or https for any of it.

const LOCK = { transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true };
const KEY = { transport: 'usb', hasResidentKey: false, hasUserVerification: false };

/**
 * Gives `page` an authenticator, a screen lock unless `key` is asked for, that answers at once. The answer has what a person can do
 * to it: `approves(false)` leaves every dialog from then on unanswered, `knows(false)` fails the finger or PIN, `credentials()` looks inside, `remove()`.
 */
export async function addAuthenticator(page, { key = false } = {}) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('WebAuthn.enable', { enableUI: false });
  const options = { protocol: 'ctap2', automaticPresenceSimulation: true, ...(key ? KEY : LOCK) };
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options });
  return {
    approves: (enabled) => cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled }),
    knows: (isUserVerified) => cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified }),
    credentials: async () => (await cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials,
    remove: () => cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId }),
  };
}
