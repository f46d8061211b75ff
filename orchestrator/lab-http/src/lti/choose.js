// The pages of a choice of labs: looks for labs by title and name, and sends the answer. Without it the list is whole, and the answer has a button.
'use strict';

// without case and accents: « reseau » finds « Réseau »
const plain = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();

function search() {
  const field = document.getElementById('search');
  if (!field) return;
  const found = document.getElementById('found');
  const labs = [...document.querySelectorAll('ul.labs > li')].map((item) => ({ item, text: plain(item.dataset.text) }));
  const say = (fr, en) => {
    const part = (lang, text) => Object.assign(document.createElement('span'), { lang, textContent: text });
    found.replaceChildren(part('fr', fr), part('en', en));
  };
  const look = () => {
    const words = plain(field.value).split(/\s+/).filter(Boolean);
    let n = 0;
    for (const { item, text } of labs) {
      // what is chosen stays in sight
      const shown = item.querySelector('input').checked || words.every((w) => text.includes(w));
      item.hidden = !shown;
      n += shown ? 1 : 0;
    }
    say(n < 2 ? `${n} lab` : `${n} labs`, n === 1 ? '1 lab' : `${n} labs`);
  };
  field.addEventListener('input', look);
  // Enter looks, and does not send the form
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') event.preventDefault();
  });
  document.getElementById('searching').hidden = false;
  look();
}

function languages() {
  const show = () => {
    document.documentElement.lang = document.getElementById('lang-en').checked ? 'en' : 'fr';
  };
  for (const button of document.getElementsByName('lang')) button.addEventListener('change', show);
  if (document.getElementById('lang-en')) show();
}

if (document.body.dataset.do === 'send') {
  document.forms[0].submit();
} else {
  languages();
  search();
}
