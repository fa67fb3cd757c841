// app.js: what is shown: the address behind '#' says it, so that every view can be linked to and gone back to.
//
//     #/  #/KEY  #/outline  #/compare/KEY+KEY  #/growth  #/growth/KEY+KEY
'use strict';

{
  const views = ['tree', 'outline', 'compare', 'growth'];
  const by = (id) => document.getElementById(id);
  const picked = []; // for the comparison
  let tree, shownCard = null, view = null, toFocus = false;

  // ---- colours: light or dark, and the families' ----

  const prefersDark = matchMedia('(prefers-color-scheme: dark)');
  const sheet = new CSSStyleSheet();

  const stored = (value) => { // a file or a strict browser may have no storage
    try {
      if (value) localStorage.setItem('theme', value);
      return localStorage.getItem('theme');
    } catch {
      return value;
    }
  };

  const isDark = () => document.documentElement.dataset.theme === 'dark';

  // A colour that stands out from the paper: mixed with white in the dark.
  clade.shade = (colour) => {
    if (!isDark()) return colour;
    const channels = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    const light = 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2];
    const white = light < 140 ? (140 - light) / (255 - light) : 0;
    return `#${channels.map((channel) => Math.round(channel + (255 - channel) * white).toString(16).padStart(2, '0')).join('')}`;
  };

  const paintFamilies = () => {
    const rules = [];
    for (const { key, colour } of clade.data.families.values()) {
      const shade = clade.shade(colour);
      rules.push(`[data-family="${key}"]{--hue:${shade}}`);
      if (isDark()) rules.push(`.canvas [fill="${colour.toLowerCase()}"]{fill:${shade}}.canvas [stroke="${colour.toLowerCase()}"]{stroke:${shade}}`);
    }
    sheet.replaceSync(rules.join('\n'));
  };

  const setTheme = (choice) => {
    document.documentElement.dataset.theme = choice === 'light' || choice === 'dark' ? choice : prefersDark.matches ? 'dark' : 'light';
    paintFamilies();
  };

  // ---- views ----

  // What the card leaves of the tree: it stands beside it, on a phone below it.
  clade.freeSpace = (width, height) => {
    const card = by('card');
    if (card.hidden) return { width, height };
    return innerWidth > 760 ? { width: width - card.offsetWidth, height } : { width, height: card.offsetTop };
  };

  const open = (key, focused = false) => {
    toFocus = focused;
    const next = key ? `#/${key}` : '#/';
    if (location.hash === next) route();
    else location.hash = next;
  };

  const closeCard = () => {
    const was = shownCard;
    by('card').hidden = true;
    shownCard = null;
    document.body.classList.remove('with-card');
    if (view === 'tree') {
      tree.light(null);
      if (was) tree.focus(was);
    }
  };

  const showCard = async (key) => {
    const container = by('card');
    shownCard = key;
    let card;
    try {
      card = await clade.card(key);
    } catch (error) {
      if (shownCard === key) fail(error);
      return;
    }
    if (shownCard !== key) return; // another was asked for meanwhile
    container.hidden = false;
    document.body.classList.add('with-card');
    const draw = () => clade.drawCard(container, card, { close: () => open(null), picked: picked.includes(key), compare: () => { pick(key); draw(); container.querySelector('.compare').focus(); } });
    draw();
    if (toFocus) container.focus({ preventScroll: true });
    toFocus = false;
    document.title = `${card.name || key}: clade`;
    clade.say(`${card.name || key}, ${card.title || ''}`);
  };

  const showView = (name) => {
    if (view === name) return;
    view = name;
    for (const each of views) by(each).hidden = each !== name;
    document.querySelectorAll('nav a').forEach((link) => (link.dataset.view === name ? link.setAttribute('aria-current', 'page') : link.removeAttribute('aria-current')));
    document.body.dataset.view = name;
  };

  const pick = (key) => {
    const at = picked.indexOf(key);
    if (at >= 0) picked.splice(at, 1);
    else if (picked.length >= clade.mostCompared) return clade.say(`At most ${clade.mostCompared} can be compared`);
    else picked.push(key);
    clade.say(`${clade.nameOf(key)} ${at >= 0 ? 'taken out of' : 'taken into'} the comparison`);
    showPicked();
  };

  const showPicked = () => {
    by('picked').textContent = picked.length;
    by('picked').hidden = !picked.length;
    document.querySelector('nav [data-view="compare"]').href = picked.length ? `#/compare/${picked.join('+')}` : '#/compare';
  };

  const fail = (error) => {
    by('status').textContent = error.message;
    by('status').classList.add('shown', 'error');
    setTimeout(() => by('status').classList.remove('shown', 'error'), 6000);
  };

  const hideCard = () => {
    by('card').hidden = true;
    shownCard = null;
    document.body.classList.remove('with-card');
  };

  const route = async () => {
    const [name = '', rest = ''] = decodeURIComponent(location.hash.replace(/^#\/?/, '')).split('/');
    const keys = rest.split(/[+ ]/).filter(Boolean);
    document.title = 'clade: the family tree of sequence models';
    try {
      if (name === 'compare') {
        hideCard();
        showView('compare');
        picked.splice(0, picked.length, ...keys.filter((key) => clade.data.variants.has(key)).slice(0, clade.mostCompared));
        showPicked();
        await clade.compare(by('compare'), picked, {
          remove: (key) => { location.hash = `#/compare/${picked.filter((each) => each !== key).join('+')}`; },
          clear: () => { location.hash = '#/compare'; },
        });
      } else if (name === 'growth') {
        hideCard();
        showView('growth');
        clade.growth(by('growth'), keys);
      } else if (name === 'outline') {
        closeCard();
        showView('outline');
        clade.outline(by('outline'), open);
      } else if (name && !clade.data.variants.has(name)) {
        throw new Error(`There is no variant '${name}'`);
      } else {
        if (view !== 'outline' || !name) showView('tree');
        if (!name) return closeCard();
        await showCard(name);
        if (view === 'outline') clade.outlineReveal(name);
        else {
          tree.light(name);
          tree.moveTo(name);
        }
      }
    } catch (error) {
      fail(error);
    }
  };

  // ---- keys ----

  const onKey = (event, search) => {
    const typing = event.target.closest('input, select, textarea');
    if (event.altKey || event.ctrlKey || event.metaKey || typing || by('keys').open) return;
    const act = {
      '/': search,
      '?': () => by('keys').showModal(),
      Escape: () => shownCard && (view === 'outline' ? (location.hash = '#/outline') : open(null)),
      c: () => {
        const key = shownCard || (view === 'tree' && event.target.closest('[data-key]') ? tree.current : null) || event.target.closest('[role="treeitem"]')?.dataset.key;
        if (!key) return;
        pick(key);
        const button = by('card').querySelector('.compare');
        if (shownCard && button) showCard(shownCard);
      },
      ...(view === 'tree' && { '+': () => tree.zoom(1.5, undefined, undefined, true), '=': () => tree.zoom(1.5, undefined, undefined, true), '-': () => tree.zoom(1 / 1.5, undefined, undefined, true), 0: () => tree.fit() }),
      ...(view === 'tree' && event.target === document.body && Object.fromEntries(['ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown'].map((key) => [key, () => tree.focus()]))),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };

  const drawLegend = () => {
    by('families').replaceChildren(...[...clade.data.families.values()].filter((family) => family.count).map((family) => {
      const button = clade.element('button', { type: 'button', 'aria-pressed': 'true', 'data-family': family.key, title: family.about, onclick: () => {
        tree.toggleFamily(family.key);
        button.setAttribute('aria-pressed', String(!tree.hidden.has(family.key)));
      } }, clade.element('span', { class: 'dot', 'data-family': family.key }), family.name, clade.element('span', { class: 'number' }, family.count));
      return button;
    }));
  };

  const start = async () => {
    document.adoptedStyleSheets = [sheet];
    setTheme(stored());
    if (innerWidth < 760) document.querySelector('.legend').open = false;
    by('tree').classList.add('loading');
    try {
      await clade.start();
      setTheme(stored());
      drawLegend();
      tree = new clade.Tree(by('tree'), open);
      clade.tree = tree;
      await tree.show('descent');
    } catch (error) {
      by('tree').classList.remove('loading');
      by('tree').classList.add('failed');
      by('tree').querySelector('.canvas').replaceChildren(clade.element('p', { class: 'error' }, `The catalogue could not be read: ${error.message}`));
      return;
    }
    by('tree').classList.remove('loading');
    const search = clade.search((key) => (view === 'compare' && picked.length < clade.mostCompared ? (location.hash = `#/compare/${[...picked.filter((each) => each !== key), key].join('+')}`) : open(key, true)));
    document.addEventListener('keydown', (event) => onKey(event, search));
    by('theme').addEventListener('click', () => {
      setTheme(stored(isDark() ? 'light' : 'dark') || (isDark() ? 'light' : 'dark'));
      if (view === 'growth' || view === 'compare') route();
    });
    prefersDark.addEventListener('change', () => setTheme(stored()));
    by('help').addEventListener('click', () => by('keys').showModal());
    by('method').addEventListener('change', async (event) => {
      by('tree').classList.add('loading');
      await tree.show(event.target.value).catch(fail);
      by('tree').classList.remove('loading');
    });
    document.querySelectorAll('[data-zoom]').forEach((button) => button.addEventListener('click', () =>
      ({ in: () => tree.zoom(1.5, undefined, undefined, true), out: () => tree.zoom(1 / 1.5, undefined, undefined, true), fit: () => tree.fit() })[button.dataset.zoom]()));
    addEventListener('hashchange', route);
    showView('tree');
    await route();
    document.body.classList.add('ready');
  };

  start();
}
