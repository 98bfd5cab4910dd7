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

  /* WebAuthn: buttons and fields carry the name of a function of the wire's helper script, which loads on its own. */
  if (window.PublicKeyCredential) {
    all('[data-trigger]', button => {
      button.hidden = false;
      button.onclick = () => window[button.dataset.trigger]?.(button.value);
    });
    addEventListener('load', () => all('[data-onload]', input => window[input.dataset.onload]?.()));
  }
})();
