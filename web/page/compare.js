// compare.js: two to six variants side by side.
'use strict';

{
  const MOST = 6;
  const { element } = clade;
  let onlyDifferent = false;

  clade.mostCompared = MOST;

  const statesOf = (card, name) => [...new Set(card.characters.filter((each) => each.character === name).map((each) => each.state))].join(', ');

  const slotText = (card, slot) => clade.layersOf(card).flatMap((layer) => layer.slots.filter((each) => each.slot === slot)
    .map((each) => `${layer.name ? `${layer.name}: ` : ''}${each.kernel || `${each.planned} (planned)`}${clade.optionsText(each.options) ? `, ${clade.optionsText(each.options)}` : ''}`)).join('\n');

  // One row a fact: [group, name, texts of the variants, about].
  const rowsOf = (cards) => {
    const rows = [
      ['Paper', 'date', cards.map((card) => card.date || '')],
      ['Paper', 'family', cards.map((card) => clade.data.families.get(card.family)?.name || '')],
      ['Paper', 'kind', cards.map((card) => card.kind || '')],
      ['Paper', 'descends from', cards.map((card) => clade.nameOf(card.parents.find((parent) => parent.primary)?.key) || '')],
      ['Paper', 'what changed', cards.map((card) => card.parents.find((parent) => parent.primary)?.changed || '')],
      ['Paper', 'summary', cards.map((card) => card.summary || '')],
    ];
    const slots = [...new Set(cards.flatMap((card) => clade.layersOf(card).flatMap((layer) => layer.slots.map((slot) => slot.slot))))];
    for (const slot of slots) rows.push(['Slots', slot, cards.map((card) => slotText(card, slot))]);
    for (const [name, { about }] of clade.data.characters) {
      const states = cards.map((card) => statesOf(card, name));
      if (states.some(Boolean)) rows.push(['Characters', name, states, about]);
    }
    return [...rows, ...measuredRows(cards)];
  };

  // Settings in which at least two of them, or the only one, were measured.
  const measuredRows = (cards) => {
    const settings = new Map();
    cards.forEach((card, index) => clade.resultsOf(card.key).forEach((result) => {
      const setting = [result.mode, result.scope, result.length, result.width, result.batch, result.threads].join();
      if (!settings.has(setting)) settings.set(setting, { result, times: cards.map(() => null) });
      settings.get(setting).times[index] = result;
    }));
    return [...settings.values()].filter(({ times }) => times.filter(Boolean).length >= 2)
      .sort((a, b) => a.result.mode.localeCompare(b.result.mode) || a.result.length - b.result.length)
      .map(({ result, times }) => ['Measured', `${result.mode}${result.scope === 'operation' ? ', operation' : ''}, ${clade.number(result.length)} tokens, width ${result.width}, ${result.threads} thread${result.threads === 1 ? '' : 's'}`,
        times.map((time) => (time ? `${clade.seconds(time.median_s)}${time.mode === 'decode' ? `, state ${clade.bytes(time.state_bytes)}` : ''}` : '')), null, times.map((time) => time?.median_s)]);
  };

  const tableOf = (cards, remove) => {
    const rows = rowsOf(cards);
    const body = [];
    let group = null;
    for (const [of, name, texts, about, times] of rows) {
      const differs = texts.some((text) => text !== texts[0]);
      if (onlyDifferent && !differs) continue;
      if (of !== group) body.push(element('tr', { class: 'group' }, element('th', { colspan: cards.length + 1, scope: 'colgroup' }, of)));
      group = of;
      const fastest = times && Math.min(...times.filter(Boolean));
      body.push(element('tr', { class: differs ? 'differs' : 'same' }, element('th', { scope: 'row', title: about }, name),
        texts.map((text, i) => element('td', { class: times && times[i] === fastest ? 'best' : null }, text || '–'))));
    }
    return element('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Comparison' }, element('table', { class: 'comparison' },
      element('thead', {}, element('tr', {}, element('td', {}), cards.map((card) => element('th', { scope: 'col', 'data-family': card.family },
        element('a', { href: `#/${card.key}` }, card.name || card.key),
        element('button', { type: 'button', class: 'icon', 'aria-label': `Take ${card.name || card.key} out`, onclick: () => remove(card.key) }, '✕'))))),
      element('tbody', {}, body)));
  };

  const ideas = [['gpt', 'retnet', 'gla', 'mamba2'], ['rwkv4', 'rwkv5', 'rwkv6'], ['s4', 's5', 'mamba', 'mamba2'], ['linear-transformer', 'deltanet', 'gla', 'ttt']];

  clade.compare = async (section, keys, { remove, clear }) => {
    const known = keys.filter((key) => clade.data.variants.has(key)).slice(0, MOST);
    const lead = element('div', {},
      element('h1', {}, 'Side by side'),
      element('p', { class: 'lead' }, known.length < 2 ? `Take two to ${MOST} variants: with “Compare” on a card, with c in the tree, or with the search above.` : null));
    if (known.length === 0) {
      section.replaceChildren(element('div', { class: 'wide' }, lead, element('h3', {}, 'For example'),
        element('ul', { class: 'plain' }, ideas.filter((idea) => idea.every((key) => clade.data.variants.has(key))).map((idea) =>
          element('li', {}, element('a', { href: `#/compare/${idea.join('+')}` }, idea.map(clade.nameOf).join(', ')))))));
      return;
    }
    const cards = await Promise.all(known.map(clade.card));
    const common = known.length > 1 && clade.commonAncestor(known);
    const draw = () => section.replaceChildren(element('div', { class: 'wide' }, lead,
      known.length > 1 && element('p', { class: 'lead' }, common ? ['Nearest common ancestor: ', clade.variantLink(common), ` ${(clade.data.variants.get(common).date || '').slice(0, 4)}`] : 'They have no common ancestor.'),
      element('p', { class: 'buttons' },
        element('label', {}, clade.fill(element('input', { type: 'checkbox', onchange: (event) => { onlyDifferent = event.target.checked; draw(); } }), { checked: onlyDifferent || null }, []), ' only what differs'),
        element('button', { type: 'button', onclick: clear }, 'Clear')),
      tableOf(cards, remove),
      clade.growthOf(known)));
    draw();
  };
}
