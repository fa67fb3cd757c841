// growth.js: what was measured, as curves against the length.
'use strict';

{
  const { element } = clade;
  const perRun = (result) => result.batch * (result.mode === 'decode' ? 1 : result.length);
  const metrics = {
    time: { name: 'time of a run', format: clade.seconds, of: (result) => result.median_s },
    token: { name: 'time of a token', format: clade.seconds, of: (result) => result.median_s / perRun(result) },
    memory: { name: 'memory in use', format: clade.bytes, of: (result) => result.peak_bytes },
    state: { name: 'state that is carried', format: clade.bytes, of: (result) => result.state_bytes },
    roofline: { name: 'share of the roofline', format: clade.percent, of: (result) => result.roofline_fraction },
  };
  const chosen = { metric: 'time', setting: null };

  const settingOf = (result) => `${result.mode}, ${result.scope}, width ${result.width}, batch ${result.batch}, ${result.threads} thread${result.threads === 1 ? '' : 's'}`;

  // The newest result at each length of each variant.
  const seriesOf = (results, metric) => {
    const curves = new Map();
    for (const result of results) {
      const y = metrics[metric].of(result);
      if (!(y > 0)) continue;
      if (!curves.has(result.variant)) curves.set(result.variant, new Map());
      curves.get(result.variant).set(result.length, { x: result.length, y });
    }
    return [...curves].map(([key, points]) => ({ key, name: clade.nameOf(key), colour: clade.shade(clade.colourOf(key)), points: [...points.values()].sort((a, b) => a.x - b.x) }));
  };

  const select = (label, values, value, onchange) =>
    element('label', {}, `${label} `, element('select', { onchange: (event) => onchange(event.target.value) }, values.map(([key, name]) => element('option', { value: key, selected: key === value }, name))));

  const machineOf = (results) => {
    const run = clade.data.runs.get(results.at(-1)?.run);
    if (!run) return null;
    const { machine, roofline } = run;
    return element('p', { class: 'quiet' }, [machine?.processor, machine?.cores && `${machine.cores} cores`, run.precision && `${run.precision} precision`,
      roofline.gflops && `${clade.number(roofline.gflops)} GFLOP/s`, roofline.gbytes_per_s && `${clade.number(roofline.gbytes_per_s)} GB/s`, run.started_at?.slice(0, 10)].filter(Boolean).join(' · '));
  };

  // A chart of these variants (all that were measured if there are none), with what can be chosen; null without results.
  const panel = (keys, redraw) => {
    const results = clade.data.results.filter((result) => !keys.length || keys.includes(result.variant));
    const counts = new Map();
    for (const result of results) counts.set(settingOf(result), (counts.get(settingOf(result)) || 0) + 1);
    const settings = [...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])).map(([name]) => name);
    if (!settings.length) return null;
    const setting = counts.has(chosen.setting) ? chosen.setting : settings[0];
    const here = results.filter((result) => settingOf(result) === setting);
    const fitting = Object.keys(metrics).filter((metric) => here.some((result) => metrics[metric].of(result) > 0));
    const metric = fitting.includes(chosen.metric) ? chosen.metric : fitting[0];
    const set = (name) => (value) => { chosen[name] = value; redraw(); };
    return [element('p', { class: 'choices' },
      select('Setting', settings.map((name) => [name, name]), setting, set('setting')),
      select('Show', fitting.map((name) => [name, metrics[name].name]), metric, set('metric'))),
    clade.chart({ x: { name: 'length in tokens', format: (value) => clade.number(value, 4).replace(' ', '') }, y: metrics[metric], series: seriesOf(here, metric) }),
    machineOf(here)];
  };

  // For the comparison: nothing where nothing was measured.
  clade.growthOf = (keys) => {
    const box = element('section', { class: 'growth' });
    const draw = () => box.replaceChildren(...[panel(keys, draw)].flat().filter(Boolean));
    draw();
    if (box.firstChild) box.prepend(element('h2', {}, 'Growth'));
    return box;
  };

  clade.growth = (section, keys) => {
    const known = keys.filter((key) => clade.data.variants.has(key));
    const draw = () => section.replaceChildren(element('div', { class: 'wide' },
      element('h1', {}, 'Growth'),
      element('p', { class: 'lead' }, 'How cost grows with the length of the sequence, as measured on this machine and kept in the database. ',
        known.length > 0 && element('a', { href: '#/growth' }, 'All that were measured')),
      panel(known, draw) || element('div', { class: 'empty' }, element('p', {}, 'Nothing has been measured yet. A few seconds are enough for a start:'),
        element('pre', {}, `clade bench ${known.length ? known.join(' ') : 'gpt gla mamba rwkv4'} --length 256,1k,4k`), element('p', {}, 'Then load this page again.'))));
    draw();
  };
}
