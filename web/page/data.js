// data.js: what the server or the folder knows, and questions about it that need no server.
'use strict';

// From a server or a static site by path; from a file, of the one script that `clade site` wrote for that.
clade.load = async (path) => {
  if (location.protocol === 'file:') {
    await (clade.offline ||= new Promise((resolve, reject) =>
      document.head.append(clade.element('script', { src: 'offline.js', onload: resolve, onerror: () => reject(new Error('offline.js is missing')) }))));
    if (!(path in window.cladeOffline)) throw new Error(`${path} is not in offline.js`);
    return window.cladeOffline[path];
  }
  const answer = await fetch(path);
  const json = path.endsWith('.json');
  if (answer.ok) return json ? answer.json() : answer.text();
  let message = `${answer.status} ${answer.statusText}`;
  try {
    message = (await answer.json()).error || message;
  } catch {
    // not one of our answers
  }
  throw new Error(message);
};

{
  const cards = new Map();
  const data = { variants: new Map(), families: new Map(), kernels: new Map(), characters: new Map(), trees: new Map() };
  clade.data = data;

  // Who is whose parent in a tree: {parent, donors, changed, children, roots}. Branchings without a name are nobody.
  const relations = (tree) => {
    const of = { parent: new Map(), donors: new Map(), changed: new Map(), children: new Map(), roots: [] };
    for (const node of tree.nodes) {
      if (!data.variants.has(node.key)) continue;
      const parent = data.variants.has(node.parent) ? node.parent : null;
      of.parent.set(node.key, parent);
      of.donors.set(node.key, tree.method === 'descent' ? node.donors : []);
      of.changed.set(node.key, node.changed);
      if (parent === null) of.roots.push(node.key);
      else of.children.set(parent, [...(of.children.get(parent) || []), node.key]);
    }
    return of;
  };

  clade.treeBy = async (method) => {
    if (!data.trees.has(method)) data.trees.set(method, relations(await clade.load(`api/tree/${method}.json`)));
    return data.trees.get(method);
  };

  clade.start = async () => {
    const [list, families, kernels, characters, tree, runs, about] = await Promise.all(
      ['list', 'families', 'kernels', 'characters', 'tree/descent', 'runs', 'about'].map((name) => clade.load(`api/${name}.json`)));
    for (const family of families) data.families.set(family.key, { ...family, count: 0 });
    for (const kernel of kernels) data.kernels.set(kernel.name, kernel);
    for (const character of characters) data.characters.set(character.name, character);
    for (const row of list) data.variants.set(row.key, row);
    data.trees.set('descent', relations(tree));
    for (const variant of data.variants.values()) {
      const family = data.families.get(variant.family);
      if (family) family.count++;
    }
    Object.assign(data, { results: runs.results, runs: new Map(runs.runs.map((run) => [run.run, run])), about });
  };

  clade.card = (key) => {
    if (!cards.has(key)) {
      const card = clade.load(`api/variants/${key}.json`);
      card.catch(() => cards.delete(key)); // may be asked for again
      cards.set(key, card);
    }
    return cards.get(key);
  };

  clade.nameOf = (key) => data.variants.get(key)?.name || key;
  clade.colourOf = (key) => data.families.get(data.variants.get(key)?.family)?.colour || '#777777';

  // From the root to the variant, by descent if not said otherwise.
  clade.lineOf = (key, tree = data.trees.get('descent')) => {
    const line = [];
    for (let at = key; at; at = tree.parent.get(at)) line.unshift(at);
    return line;
  };

  clade.descendantsOf = (key, tree = data.trees.get('descent')) => {
    const found = [];
    for (const waiting = [...(tree.children.get(key) || [])]; waiting.length;) {
      const next = waiting.shift();
      found.push(next);
      waiting.push(...(tree.children.get(next) || []));
    }
    return found;
  };

  // The most recent variant from which all of them descend, or null.
  clade.commonAncestor = (keys) => {
    const lines = keys.map((key) => clade.lineOf(key));
    let common = null;
    for (let i = 0; lines.every((line) => i < line.length && line[i] === lines[0][i]); i++) common = lines[0][i];
    return common;
  };

  clade.resultsOf = (key) => data.results.filter((result) => result.variant === key);

  // The layers of a card's composition: [{name, slots: [{slot, kernel, planned, options}]}].
  clade.layersOf = (card) => {
    const slots = (layer) =>
      Object.entries(layer)
        .filter(([slot]) => slot !== 'name')
        .map(([slot, { kernel, planned, ...options }]) => ({ slot, kernel, planned, options }));
    if (!card.composition) return [];
    return (card.composition.pattern || [card.composition]).map((layer) => ({ name: layer.name || null, slots: slots(layer) }));
  };

  clade.optionsText = (options) =>
    Object.entries(options).map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`).join(', ');

  // Variants by how well they match all words: [{variant, score}], the best first.
  clade.find = (text) => {
    const words = clade.fold(text).split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    const scoreIn = (haystack, word, starts, within) => {
      const at = haystack.indexOf(word);
      if (at < 0) return 0;
      return at === 0 || /\W/.test(haystack[at - 1]) ? starts : within;
    };
    const hits = [];
    for (const variant of data.variants.values()) {
      const fields = (variant.folded ||= [variant.key, variant.name, variant.title, variant.authors.join(' '), variant.summary].map((field) => clade.fold(field || '')));
      let score = fields[0] === words.join('-') || fields[1] === words.join(' ') ? 100 : 0;
      for (const word of words) {
        const best = Math.max(scoreIn(fields[0], word, 20, 8), scoreIn(fields[1], word, 20, 8), scoreIn(fields[2], word, 6, 2),
          scoreIn(fields[3], word, 5, 0), scoreIn(fields[4], word, 3, 0.5));
        if (!best) {
          score = -1;
          break;
        }
        score += best;
      }
      if (score > 0) hits.push({ variant, score: score - fields[1].length / 1000 });
    }
    return hits.sort((a, b) => b.score - a.score || a.variant.key.localeCompare(b.variant.key));
  };

  clade.fold = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
}
