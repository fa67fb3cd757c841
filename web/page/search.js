// search.js: the search field and its list, in the manner of a combobox.
'use strict';

clade.search = (onChoose) => {
  const SHOWN = 12;
  const input = document.getElementById('search'), list = document.getElementById('hits');
  let hits = [], active = -1;

  const close = () => {
    list.hidden = true;
    input.setAttribute('aria-expanded', 'false');
    input.removeAttribute('aria-activedescendant');
    active = -1;
  };

  const activate = (index) => {
    active = index;
    [...list.children].forEach((item, i) => item.setAttribute('aria-selected', String(i === index)));
    const item = list.children[index];
    if (item?.id) {
      input.setAttribute('aria-activedescendant', item.id);
      item.scrollIntoView({ block: 'nearest' });
    }
  };

  const choose = (index) => {
    const hit = hits[index];
    if (!hit) return;
    close();
    input.value = '';
    input.blur();
    onChoose(hit.variant.key);
  };

  const draw = () => {
    const all = clade.find(input.value);
    hits = all.slice(0, SHOWN);
    if (!input.value.trim()) return close();
    list.replaceChildren(...hits.map(({ variant }, index) => clade.element('li', { id: `hit-${index}`, role: 'option', 'aria-selected': 'false',
      onpointerdown: (event) => event.preventDefault(), onclick: () => choose(index) },
      clade.element('span', { class: 'dot', 'data-family': variant.family }),
      clade.element('strong', {}, variant.name || variant.key), clade.element('span', { class: 'when' }, (variant.date || '').slice(0, 4)),
      clade.element('span', { class: 'about' }, variant.title || ''))));
    if (!hits.length) list.append(clade.element('li', { class: 'none', role: 'option', 'aria-disabled': 'true', 'aria-selected': 'false' }, 'Nothing found'));
    list.hidden = false;
    input.setAttribute('aria-expanded', 'true');
    clade.say(`${all.length} found`);
    if (hits.length) activate(0);
  };

  input.addEventListener('input', draw);
  input.addEventListener('focus', draw);
  input.addEventListener('blur', close);
  input.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' && hits.length) activate((active + 1) % hits.length);
    else if (event.key === 'ArrowUp' && hits.length) activate((active + hits.length - 1) % hits.length);
    else if (event.key === 'Enter') choose(active);
    else if (event.key === 'Escape') {
      if (list.hidden) input.blur();
      input.value = '';
      close();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return () => input.focus();
};
