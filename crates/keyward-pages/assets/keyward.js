/* Progressive extras only. Every page works without this file; controls that need it start out `hidden`. */
(() => {
  const all = (selector, each) => document.querySelectorAll(selector).forEach(each);
  const root = document.documentElement;
  const say = (element, text) => {
    const out = element.closest('.field, form, section, main').querySelector('[data-say]');
    if (out) out.textContent = text;
  };

  /* Theme: the system's by default. One press pins the other one in a cookie, which the server turns into
     `data-theme` on <html>, so that the next page comes without a flash and without an inline script. */
  all('[data-theme-toggle]', button => {
    button.hidden = false;
    button.onclick = () => {
      const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
      root.dataset.theme = dark ? 'light' : 'dark';
      document.cookie = `keyward_theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax`;
    };
  });

  /* Show or hide a password. The label stays, the pressed state changes. */
  all('[data-peek]', button => {
    const input = document.getElementById(button.dataset.peek);
    button.hidden = false;
    button.onclick = () => {
      const show = input.type === 'password';
      input.type = show ? 'text' : 'password';
      button.setAttribute('aria-pressed', show);
    };
    input.form.addEventListener('submit', () => { input.type = 'password'; });
  });

  /* Copy text. */
  all('[data-copy]', button => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.onclick = () => navigator.clipboard.writeText(button.dataset.copy)
      .then(() => say(button, button.dataset.done), () => say(button, button.dataset.fail));
  });

  /* Print: the style sheet leaves nothing but the codes. */
  all('[data-print]', button => {
    button.hidden = false;
    button.onclick = () => print();
  });

  /* Another way for the second step opens in place of the first: the focus goes to its field. */
  all('.way > summary', choice => {
    choice.onclick = () => setTimeout(() => choice.parentElement.querySelector('input:not([type=hidden])')?.focus());
  });

  /* Move the focus to what was refused; where the address points at a section, only within it. */
  document.querySelector(location.hash ? ':target [aria-invalid]' : '[data-errors]')?.focus();

  /* A ceremony that failed is told where the page tells errors: at the empty field, in the section, or below the heading. The
     words wait in templates. */
  let told = [];
  const clear = () => { told.splice(0).forEach(undo => undo()); };
  const tell = (name, at) => {
    clear();
    const field = name === 'MissingNameError' && at.labels?.length ? at : null;
    const words = [...document.querySelectorAll('template[data-fault]')];
    const find = key => words.find(template => template.dataset.fault === key);
    const template = field ? find(field.name) ?? find('field') : find(name) ?? find('');
    if (!template) return;
    const box = template.content.firstElementChild.cloneNode(true);
    /* What went well before stands beside no failure. */
    all('.msg[role=status]', done => { done.hidden = true; });
    const title = document.title;
    document.title = find('').dataset.title;
    told.push(() => { box.remove(); document.title = title; });
    if (field) {
      const hint = field.getAttribute('aria-describedby');
      box.id = `${field.id}-told`;
      field.before(box);
      field.setAttribute('aria-describedby', hint ? `${hint} ${box.id}` : box.id);
      field.setAttribute('aria-invalid', true);
      told.push(() => {
        field.removeAttribute('aria-invalid');
        if (hint) field.setAttribute('aria-describedby', hint); else field.removeAttribute('aria-describedby');
      });
      field.focus();
    } else {
      (at.closest?.('section.card')?.querySelector('header') ?? document.querySelector('h1')).after(box);
      box.focus();
    }
  };
  document.addEventListener('keyward:webauthn-error', event => {
    event.preventDefault();
    tell(event.detail.name, event.target);
  });

  /* WebAuthn: buttons and fields carry the name of a function of the wire's helper script, which loads on its own. Where no other
     button sends what is typed, Enter presses this one. */
  all('[data-scripted]', element => { element.hidden = false; });
  all('[data-trigger]', button => {
    button.hidden = false;
    button.onclick = () => {
      clear();
      const run = window[button.dataset.trigger];
      if (run) run(button.value); else tell(window.PublicKeyCredential ? 'NoOptionsError' : 'NotSupportedError', button);
    };
    const scope = button.closest('[data-scripted]') ?? (button.form.querySelector('button:not([type])') ? null : button.form);
    if (scope?.querySelector('[data-trigger]') === button) scope.addEventListener('keydown', event => {
      if (event.key !== 'Enter' || !event.target.matches('input')) return;
      event.preventDefault();
      button.click();
    });
  });
  addEventListener('load', () => all('[data-onload]', input => window[input.dataset.onload]?.()));

  /* Tell authenticators which credentials are left, so that they stop offering the others, and what the account is called. With
     the last one the account's handle is gone: what was removed is named, once its row is gone. */
  const signal = (method, told) => window.PublicKeyCredential?.[method]?.(told).catch(() => {});
  all('[data-signal]', section => {
    const { name, displayName, ...accepted } = JSON.parse(section.dataset.signal);
    const { rpId, userId } = accepted;
    signal('signalAllAcceptedCredentials', accepted);
    if (name) signal('signalCurrentUserDetails', { rpId, userId, name, displayName });
    const removed = sessionStorage.getItem('removed');
    if (!removed || document.querySelector(`[name$="_rename"][value="${removed}"]`)) return;
    const bytes = removed.match(/../g).map(pair => parseInt(pair, 16));
    const credentialId = btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
    signal('signalUnknownCredential', { rpId, credentialId });
  });
  if (document.querySelector('.toc')) sessionStorage.removeItem('removed');
  all('button[name$="_remove"]', button => {
    button.form.addEventListener('submit', () => sessionStorage.setItem('removed', button.value));
  });
})();
