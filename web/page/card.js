// card.js: all that is known of one variant.
'use strict';

{
  const { element, outward } = clade;

  const link = (key, text) => element('a', { href: `#/${key}`, class: 'variant' }, element('span', { class: 'dot', 'data-family': clade.data.variants.get(key)?.family }), text || clade.nameOf(key));

  const section = (title, ...content) => {
    const parts = content.flat().filter(Boolean);
    return parts.length ? element('section', {}, element('h3', {}, title), parts) : null;
  };

  const head = (card, close, compare, picked) => {
    const family = clade.data.families.get(card.family);
    const authors = card.authors.length > 6 ? [...card.authors.slice(0, 3), `and ${card.authors.length - 3} others`] : card.authors;
    return element('header', {},
      element('div', { class: 'actions' },
        element('button', { type: 'button', class: 'compare', 'aria-pressed': String(picked), onclick: compare }, picked ? '✓ Compared' : '+ Compare'),
        element('button', { type: 'button', class: 'icon close', title: 'Close (Esc)', 'aria-label': 'Close', onclick: close }, '✕')),
      element('h2', { id: 'card-name' }, card.name || card.key),
      card.title && card.title !== card.name && element('p', { class: 'title' }, card.title),
      element('p', { class: 'by' }, authors.join(', ')),
      element('p', { class: 'tags' },
        family && element('span', { class: 'tag family', 'data-family': family.key }, family.name),
        card.kind && element('span', { class: 'tag' }, card.kind),
        card.date && element('span', { class: 'tag' }, element('time', { datetime: card.date }, card.date)),
        card.venue && element('span', { class: 'tag' }, card.venue),
        card.runnable && element('span', { class: 'tag runs', title: 'Every slot has its kernel: it can be checked, run and measured' }, 'runs')),
      card.summary && element('p', { class: 'summary' }, card.summary),
      element('p', { class: 'links' }, card.links.map((address) => outward(address, siteOf(address))), card.code.map((address) => outward(address, `code: ${address.replace(/^https?:\/\/(www\.)?(github\.com\/)?/, '')}`))));
  };

  const siteOf = (address) =>
    ({ 'arxiv.org': 'arXiv', 'doi.org': 'DOI', 'aclanthology.org': 'ACL Anthology', 'www.semanticscholar.org': 'Semantic Scholar' })[new URL(address).hostname] || address;

  const descent = (card) => {
    const tree = clade.data.trees.get('descent'), line = clade.lineOf(card.key);
    const steps = line.map((key) => element('li', { class: key === card.key ? 'here' : null, 'data-family': clade.data.variants.get(key).family },
      key === card.key ? element('strong', {}, clade.nameOf(key)) : link(key), ' ', element('span', { class: 'when' }, (clade.data.variants.get(key).date || '').slice(0, 4)),
      tree.changed.get(key) && element('p', {}, tree.changed.get(key))));
    const hidden = steps.length > 5 ? steps.splice(0, steps.length - 4) : [];
    return section('Line of descent',
      hidden.length > 0 && element('details', { class: 'older' }, element('summary', {}, `${hidden.length} older`), element('ol', { class: 'line' }, hidden)),
      element('ol', { class: 'line' }, steps));
  };

  const donors = (card) => {
    const borrowed = card.parents.filter((parent) => !parent.primary);
    return section('Borrows from', borrowed.length > 0 && element('ul', { class: 'plain' }, borrowed.map((parent) =>
      element('li', {}, link(parent.key), parent.changed && element('span', { class: 'changed' }, ` ${parent.changed}`)))));
  };

  const children = (card) => {
    const group = (title, primary) => {
      const list = card.children.filter((child) => child.primary === primary);
      return section(title, list.length > 0 && element('ul', { class: 'chips' }, list.map((child) => element('li', { title: child.changed }, link(child.key)))));
    };
    return [group('What descends from it', true), group('Who borrows from it', false)];
  };

  const kernelNotes = (name) => {
    const kernel = clade.data.kernels.get(name);
    if (!kernel) return null;
    return element('details', {}, element('summary', {}, 'formula'),
      element('p', {}, kernel.summary), element('pre', { tabindex: 0 }, kernel.notes.trimEnd()));
  };

  const slots = (card) => section('Slots', clade.layersOf(card).map((layer) => [
    layer.name && element('h4', {}, `layer ${layer.name}`),
    element('dl', { class: 'slots' }, layer.slots.map((slot) => [
      element('dt', {}, slot.slot),
      element('dd', {}, element('code', {}, slot.kernel || slot.planned), !slot.kernel && element('em', {}, ' planned'),
        clade.optionsText(slot.options) && element('span', { class: 'options' }, ` ${clade.optionsText(slot.options)}`),
        slot.kernel && kernelNotes(slot.kernel))])),
  ]).flat());

  const characters = (card) => {
    const states = new Map();
    for (const { character, state } of card.characters) states.set(character, (states.get(character) || new Set()).add(state));
    const about = (name, state) => clade.data.characters.get(name)?.states.find((each) => each.name === state)?.about;
    return section('Characters', states.size > 0 && element('dl', { class: 'characters' }, [...states].map(([name, values]) => [
      element('dt', { title: clade.data.characters.get(name)?.about }, name),
      element('dd', {}, [...values].map((state) => element('span', { title: about(name, state) }, state)).flatMap((span, i) => (i ? [', ', span] : [span])))])));
  };

  const references = (card) => section('Held against', card.references.length > 0 && element('ul', { class: 'plain references' }, card.references.map((reference) =>
    element('li', {}, reference.set ? element('code', {}, reference.set) : 'the paper', reference.slot && ` ${reference.part ? `${reference.part}.` : ''}${reference.slot}`,
      reference.fidelity && element('span', { class: 'tag' }, reference.fidelity),
      element('span', { class: 'source' }, reference.source === 'paper' ? reference.sections || 'the paper' : `${reference.source}${reference.sections ? `, ${reference.sections}` : ''}`)))));

  const measured = (card) => {
    const results = clade.resultsOf(card.key);
    if (!results.length) {
      return section('Measured', card.runnable && card.kind !== 'study' && element('p', { class: 'quiet' }, 'Not measured here yet: ', element('code', {}, `clade bench ${card.key}`)));
    }
    const columns = [['mode', (r) => `${r.mode}${r.scope === 'operation' ? ' (operation)' : ''}`], ['tokens', (r) => clade.number(r.length)], ['width', (r) => r.width],
      ['threads', (r) => r.threads], ['time', (r) => `${clade.seconds(r.median_s)}`], ['roofline', (r) => clade.percent(r.roofline_fraction)],
      ['state', (r) => (r.mode === 'decode' ? clade.bytes(r.state_bytes) : '')], ['memory', (r) => clade.bytes(r.peak_bytes)]];
    return section('Measured',
      element('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Measurements' }, element('table', {},
        element('thead', {}, element('tr', {}, columns.map(([name]) => element('th', { scope: 'col' }, name)))),
        element('tbody', {}, results.map((result) => element('tr', {}, columns.map(([, value]) => element('td', {}, value(result)))))))),
      element('p', {}, element('a', { href: `#/growth/${card.key}` }, 'Growth with the length')));
  };

  // What the citations of its paper say of its parent; asked for when it is opened.
  const evidence = (card) => {
    const body = element('div', {}, element('p', { class: 'quiet' }, 'Loading'));
    const details = element('details', { class: 'evidence', ontoggle: async () => {
      if (!details.open || details.dataset.asked) return;
      details.dataset.asked = 'yes';
      try {
        const { candidates, margin } = await clade.load(`api/why/${card.key}.json`);
        const most = Math.max(...candidates.map((candidate) => candidate.weight), 1e-9);
        body.replaceChildren(candidates.length ? element('p', { class: 'quiet' }, margin === null ? 'Citations alone make it a root.' : `Margin of the first over the next: ${margin.toFixed(2)}`) : element('p', { class: 'quiet' }, 'No citations to older variants are known.'),
          element('ol', { class: 'bars' }, candidates.slice(0, 8).map((candidate) => element('li', {},
            link(candidate.key), candidate.standing && element('span', { class: 'tag' }, candidate.standing),
            element('meter', { min: 0, max: most, value: candidate.weight, 'aria-label': `weight ${clade.percent(candidate.weight)}` }),
            element('span', { class: 'when' }, clade.percent(candidate.weight)),
            candidate.intents.length > 0 && element('span', { class: 'changed' }, candidate.intents.join(', '))))));
      } catch (error) {
        body.replaceChildren(element('p', { class: 'error' }, error.message));
      }
    } }, element('summary', {}, 'What citations suggest'), body);
    return card.cites ? details : null;
  };

  clade.drawCard = (container, card, { close, compare, picked }) => {
    container.dataset.family = card.family || '';
    container.setAttribute('aria-labelledby', 'card-name');
    clade.fill(container, {}, []);
    container.replaceChildren(head(card, close, compare, picked), ...[
      slots(card), descent(card), donors(card), children(card), characters(card), measured(card), references(card),
      section('Citations', (card.cites || card.cited_by) && element('p', { class: 'quiet' }, `Its paper cites ${card.cites} of the catalogue and is cited by ${card.cited_by}.`), evidence(card)),
      card.suite.length > 0 && section('Compares', element('ul', { class: 'chips' }, card.suite.map((key) => element('li', {}, link(key))))),
      card.missing && section('Missing', element('p', { class: 'quiet' }, card.missing)),
      section('In a terminal', element('pre', { class: 'commands', tabindex: 0 }, ['show', 'lineage', 'why', ...(card.runnable && card.kind !== 'study' ? ['check', 'bench'] : [])].map((word) => `clade ${word} ${card.key}`).join('\n'))),
    ].flat().filter(Boolean));
    container.scrollTop = 0;
  };

  clade.variantLink = link;
}
