/* Passkeys and security keys in the browser, for any user interface of Keyward's flows.
   Each function asks the browser for a credential, writes the answer into the flow's hidden input and sends the form it stands in.
   What a ceremony needs stands in the nodes of the flow; a failure is told by the event `keyward:webauthn-error` and changes nothing. */
(() => {
  'use strict';
  if (window.oryPasskeyLogin && window.oryPasskeyLogin.keyward) return;

  /* The sign-in that waits in the browser's autofill, if the page wants one; a ceremony with a dialog of its own ends it first. */
  let waiting = null;
  let wanted = false;
  /* One ceremony at a time: a second click while the browser asks would only end the first. */
  let busy = false;

  const named = (name, form) => (form ? [...form.elements].find(element => element.name === name) : document.getElementsByName(name)[0]);

  /* A failure that no browser has a name for. */
  const failure = (name, field) => Object.assign(new Error(name), { name, field });

  /* base64url without padding (RFC 4648 section 5). Plain base64 is read, too. */
  const decode = text => Uint8Array.from(atob(String(text).replace(/-/g, '+').replace(/_/g, '/')), c => c.charCodeAt(0));
  const encode = bytes => {
    let text = '';
    for (const byte of new Uint8Array(bytes)) text += String.fromCharCode(byte);
    return btoa(text).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  };

  /* Options as object or as JSON text: the argument, else the value of the input with this name. */
  const options = (given, name) => {
    for (const one of [given, (named(name) || {}).value]) {
      try {
        const read = typeof one === 'string' ? JSON.parse(one) : one;
        if ((read.publicKey || read.credentialOptions.publicKey).challenge) return read;
      } catch { /* An empty text, or the click that a framework passes on. */ }
    }
    throw failure('NoOptionsError');
  };

  const list = descriptors => descriptors && descriptors.map(one => ({ ...one, id: decode(one.id) }));

  const binary = publicKey => {
    const out = { ...publicKey, challenge: decode(publicKey.challenge) };
    if (out.user) out.user = { ...out.user, id: decode(out.user.id) };
    if (out.excludeCredentials) out.excludeCredentials = list(out.excludeCredentials);
    if (out.allowCredentials) out.allowCredentials = list(out.allowCredentials);
    return out;
  };

  /* The credential as the flow takes it: binary members as base64url, empty ones left out. */
  const written = credential => {
    const from = credential.response;
    const response = { clientDataJSON: encode(from.clientDataJSON) };
    if (from.attestationObject) {
      response.attestationObject = encode(from.attestationObject);
      if (from.getTransports) response.transports = from.getTransports();
    } else {
      response.authenticatorData = encode(from.authenticatorData);
      response.signature = encode(from.signature);
      if (from.userHandle && from.userHandle.byteLength) response.userHandle = encode(from.userHandle);
    }
    const out = { id: credential.id, rawId: encode(credential.rawId), type: credential.type, response };
    const extensions = credential.getClientExtensionResults();
    if (Object.keys(extensions).length) out.clientExtensionResults = extensions;
    return JSON.stringify(out, (_, value) => (value instanceof ArrayBuffer ? encode(value) : value));
  };

  /* Writes a hidden input, made where there is none, past any wrapper that a framework put around `value`; says so in both ways
     that frameworks listen for. Returns how to take it back. */
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set;
  const write = (form, name, value) => {
    const own = [...form.elements].find(element => element.name === name && element.type === 'hidden');
    const input = own || form.appendChild(Object.assign(document.createElement('input'), { type: 'hidden', name }));
    const before = input.value;
    set.call(input, value);
    for (const type of ['input', 'change']) input.dispatchEvent(new Event(type, { bubbles: true }));
    return () => (own ? set.call(input, before) : input.remove());
  };

  /* Sends the form as it stands: no validation, for nobody fills in a password to sign in without one, and no handler, for a
     handler would send what it remembers of the fields and not what stands in them. A page that comes back with the browser's
     "Back" must not hold the answer of a ceremony that is over. */
  const send = (form, method, name, credential) => {
    const undo = [write(form, name, written(credential)), write(form, 'method', method)];
    HTMLFormElement.prototype.submit.call(form);
    undo.forEach(each => each());
  };

  const supported = () => {
    if (!window.PublicKeyCredential || !navigator.credentials) throw failure('NotSupportedError');
  };

  /* Browsers hide from a page why a ceremony ended; that its time was up shows on the clock. */
  const perform = async (kind, publicKey) => {
    if (waiting) waiting.abort();
    waiting = null;
    const began = performance.now();
    try {
      return await navigator.credentials[kind]({ publicKey: binary(publicKey) });
    } catch (error) {
      const late = publicKey.timeout && performance.now() - began >= publicKey.timeout - 250;
      throw error.name === 'NotAllowedError' && late ? failure('TimeoutError') : error;
    }
  };

  /* A field that has to be filled in before the browser asks for anything. */
  const need = field => {
    if (field && !field.value.trim()) throw failure('MissingNameError', field);
  };

  /* Without a listener that takes the failure over, at least the empty field is shown. */
  const tell = (trigger, node, { name = 'UnknownError', field }) => {
    const event = new CustomEvent('keyward:webauthn-error', { detail: { name, trigger }, bubbles: true, cancelable: true });
    if (!(field || node || document).dispatchEvent(event) || !field) return;
    const words = /^de\b/i.test(document.documentElement.lang) ? 'Füllen Sie zuerst dieses Feld aus.' : 'Fill in this field first.';
    if (field.validity.valid) field.setCustomValidity(words);
    for (const type of ['input', 'blur']) field.addEventListener(type, () => field.setCustomValidity(''), { once: true });
    field.focus();
    field.reportValidity();
  };

  const ceremony = (trigger, button, result, run) => {
    const start = async given => {
      if (busy) return;
      busy = true;
      const node = named(button) || named(result);
      try {
        supported();
        const form = (node && node.form) || (named(result) || {}).form;
        if (!form) throw failure('NoOptionsError');
        await run(form, given);
        busy = false;
      } catch (error) {
        busy = false;
        tell(trigger, node, error);
        if (wanted) offer();
      }
    };
    start.keyward = true;
    window[trigger] = start;
  };

  ceremony('oryWebAuthnRegistration', 'webauthn_register_trigger', 'webauthn_register', async (form, given) => {
    const { publicKey } = options(given, 'webauthn_register_trigger');
    need(named('webauthn_register_displayname', form));
    send(form, 'webauthn', 'webauthn_register', await perform('create', publicKey));
  });

  ceremony('oryWebAuthnLogin', 'webauthn_login_trigger', 'webauthn_login', async (form, given) => {
    const { publicKey } = options(given, 'webauthn_login_trigger');
    send(form, 'webauthn', 'webauthn_login', await perform('get', publicKey));
  });

  ceremony('oryPasskeyLogin', 'passkey_login_trigger', 'passkey_login', async (form, given) => {
    const { publicKey } = options(given, 'passkey_challenge');
    send(form, 'passkey', 'passkey_login', await perform('get', publicKey));
  });

  ceremony('oryPasskeySettingsRegistration', 'passkey_register_trigger', 'passkey_settings_register', async (form, given) => {
    const { publicKey } = options(given, 'passkey_create_data');
    send(form, 'passkey', 'passkey_settings_register', await perform('create', publicKey));
  });

  /* A new account: the passkey is called what the person types as name or address. */
  ceremony('oryPasskeyRegistration', 'passkey_register_trigger', 'passkey_register', async (form, given) => {
    const read = options(given, 'passkey_create_data');
    const { publicKey } = read.credentialOptions || read;
    const fields = [read.displayNameFieldName, ...(read.displayNameFieldNames || [])]
      .filter(Boolean)
      .map(name => named(name, form) || named(name))
      .filter(Boolean);
    const filled = fields.find(field => field.value.trim());
    if (!filled) need(fields[0]);
    // A key for an address that is none would be left behind in the authenticator.
    const wrong = [...form.elements].find(field => /^traits\./.test(field.name) && !field.checkValidity());
    if (wrong) return wrong.focus(), void wrong.reportValidity();
    const name = filled ? filled.value.trim() : publicKey.user.name;
    const user = { ...publicKey.user, name, displayName: name };
    send(form, 'passkey', 'passkey_register', await perform('create', { ...publicKey, user }));
  });

  /* Offers passkeys in the autofill of the identifier's field. Nobody asked for it, so it fails in silence. */
  const offer = async () => {
    try {
      supported();
      if (!(await PublicKeyCredential.isConditionalMediationAvailable())) return;
      const { publicKey } = options(undefined, 'passkey_challenge');
      const { form } = named('passkey_login');
      if (busy) return;
      if (waiting) waiting.abort();
      const mine = new AbortController();
      waiting = mine;
      // The offer stands as long as the page does, whatever time a dialog would have.
      const { timeout: _, ...patient } = binary(publicKey);
      const credential = await navigator.credentials.get({ publicKey: patient, mediation: 'conditional', signal: mine.signal });
      if (credential && form && waiting === mine) send(form, 'passkey', 'passkey_login', credential);
    } catch { /* nothing was asked for, so nothing is told */ }
  };
  window.oryPasskeyLoginAutocompleteInit = () => {
    wanted = true;
    if (named('passkey_challenge') || document.readyState !== 'loading') return offer();
    document.addEventListener('DOMContentLoaded', offer, { once: true });
    return Promise.resolve();
  };
})();
