// The platform's storage (LTI postMessage storage, 1EdTech lti-pm-s 0.1), for browsers that block our cookie in a frame.
// The page says what to do: put a value and go on, or get it and send the form again.
'use strict';

// A platform that keeps things answers within milliseconds; one that does not will not answer at all.
const ANSWER_WITHIN_MS = 2000;

const page = document.body.dataset;

function target() {
  if (page.frame === '_parent' || !window.parent.frames[page.frame]) return window.parent === window ? window.opener : window.parent;
  return window.parent.frames[page.frame];
}

function ask(message) {
  return new Promise((resolve) => {
    const window_ = target();
    if (!window_) return resolve(null);
    const id = crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2);
    const done = (value) => {
      window.removeEventListener('message', heard);
      resolve(value);
    };
    const heard = (event) => {
      const answer = event.data;
      if (event.origin !== page.origin || typeof answer !== 'object' || answer === null) return;
      if (answer.message_id !== id || answer.key !== message.key || answer.error) return;
      // older platforms put their own name before the subject
      if (!String(answer.subject).endsWith(`${message.subject}.response`)) return;
      done(typeof answer.value === 'string' ? answer.value : null);
    };
    window.addEventListener('message', heard);
    setTimeout(done, ANSWER_WITHIN_MS, null);
    window_.postMessage({ ...message, message_id: id }, page.origin);
  });
}

async function put() {
  await ask({ subject: 'lti.put_data', key: page.key, value: page.value });
  // kept or not: the cookie may do, and the answer's page asks again
  location.replace(page.go);
}

async function get() {
  const value = await ask({ subject: 'lti.get_data', key: page.key });
  if (value) {
    const form = document.forms[0];
    form.elements.labwire_browser.value = value;
    form.submit();
  } else {
    document.getElementById('wait').hidden = true;
    document.getElementById('window').hidden = false;
  }
}

if (page.do === 'put') put();
if (page.do === 'get') get();
