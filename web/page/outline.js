// outline.js: the same tree as a nested list that keyboards and screen readers know how to walk.
'use strict';

{
  const open = new Set(); // keys of variants whose children are shown
  let container, onOpen, current;

  const rows = () => [...container.querySelectorAll('[role="treeitem"]')];

  const item = (key, level, tree) => {
    const variant = clade.data.variants.get(key), children = tree.children.get(key) || [];
    const changed = tree.changed.get(key);
    const row = clade.element('div', { class: 'row', onclick: () => choose(key) },
      clade.element('span', { class: 'twist', 'aria-hidden': 'true', onclick: (event) => { event.stopPropagation(); toggle(key); } }, children.length ? (open.has(key) ? '▾' : '▸') : ''),
      clade.element('span', { class: 'dot', style: null, 'data-family': variant.family }),
      clade.element('strong', {}, clade.nameOf(key)),
      clade.element('span', { class: 'when' }, variant.date ? variant.date.slice(0, 4) : ''),
      changed && clade.element('span', { class: 'changed' }, changed));
    const node = clade.element('li', { role: 'treeitem', 'aria-level': level, 'data-key': key, tabindex: key === current ? 0 : -1,
      'aria-expanded': children.length ? String(open.has(key)) : null, 'aria-label': `${clade.nameOf(key)}${variant.date ? `, ${variant.date.slice(0, 4)}` : ''}${changed ? `: ${changed}` : ''}` }, row);
    if (children.length && open.has(key)) node.append(clade.element('ul', { role: 'group' }, children.map((child) => item(child, level + 1, tree))));
    return node;
  };

  const draw = (focused) => {
    const tree = clade.data.trees.get('descent');
    const scroll = container.scrollTop;
    container.replaceChildren(
      clade.element('div', { class: 'wide' },
        clade.element('h1', {}, 'Outline'),
        clade.element('p', { class: 'lead' }, `${clade.data.variants.size} variants by descent, each with what it changed. Arrow keys walk and unfold; Enter opens the card.`),
        clade.element('p', { class: 'buttons' },
          clade.element('button', { type: 'button', onclick: () => { clade.data.variants.forEach((_, key) => open.add(key)); draw(); } }, 'Unfold all'),
          clade.element('button', { type: 'button', onclick: () => { open.clear(); draw(); } }, 'Fold all')),
        clade.element('ul', { role: 'tree', class: 'outline', 'aria-label': 'Variants by descent', onkeydown: walk }, tree.roots.map((key) => item(key, 1, tree)))));
    container.scrollTop = scroll;
    if (!rows().some((row) => row.tabIndex === 0)) rows()[0].tabIndex = 0;
    if (focused) container.querySelector(`[data-key="${focused}"]`)?.focus();
  };

  const toggle = (key, focused) => {
    if (!open.delete(key)) open.add(key);
    draw(focused);
  };

  const choose = (key) => {
    current = key;
    onOpen(key, true);
  };

  const focus = (row) => {
    if (!row) return;
    rows().forEach((each) => (each.tabIndex = -1));
    row.tabIndex = 0;
    current = row.dataset.key;
    row.focus();
  };

  const walk = (event) => {
    const row = event.target.closest('[role="treeitem"]');
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const all = rows(), at = all.indexOf(row), key = row.dataset.key, expanded = row.getAttribute('aria-expanded');
    if (event.key === 'ArrowDown') focus(all[at + 1]);
    else if (event.key === 'ArrowUp') focus(all[at - 1]);
    else if (event.key === 'Home') focus(all[0]);
    else if (event.key === 'End') focus(all.at(-1));
    else if (event.key === 'ArrowRight' && expanded === 'false') toggle(key, key);
    else if (event.key === 'ArrowRight' && expanded === 'true') focus(all[at + 1]);
    else if (event.key === 'ArrowLeft' && expanded === 'true') toggle(key, key);
    else if (event.key === 'ArrowLeft') focus(row.parentElement.closest('[role="treeitem"]'));
    else if (event.key === 'Enter' || event.key === ' ') choose(key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  clade.outline = (section, opened) => {
    container = section;
    onOpen = opened;
    if (!open.size) clade.data.variants.forEach((_, key) => clade.lineOf(key).length < 4 && open.add(key));
    draw();
  };

  // Unfolds the way to a variant.
  clade.outlineReveal = (key) => {
    clade.lineOf(key).slice(0, -1).forEach((each) => open.add(each));
    current = key;
    if (container) {
      draw();
      container.querySelector(`[data-key="${key}"]`)?.scrollIntoView({ block: 'nearest' });
    }
  };
}
