// The page of a registration that waits: its button tells the platform that the window, or its frame, may go. Nothing secret is said, so to anyone.
'use strict';

const platform = window.opener ?? (window.parent === window ? null : window.parent);
const button = document.getElementById('close');
if (platform && button) {
  button.hidden = false;
  button.addEventListener('click', () => platform.postMessage({ subject: 'org.imsglobal.lti.close' }, '*'));
}
