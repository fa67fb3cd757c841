// chart.js: curves on logarithmic axes as SVG, with the same numbers as a table below.
'use strict';

{
  const WIDTH = 760, HEIGHT = 440, LEFT = 66, RIGHT = 18, TOP = 14, BOTTOM = 46;
  const DASHES = ['', '7 4', '2 3', '9 3 2 3', '12 4', '4 2 1 2'];
  const MARKS = [
    (x, y) => `M${x - 3.6} ${y}a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0z`,
    (x, y) => `M${x - 3.4} ${y - 3.4}h6.8v6.8h-6.8z`,
    (x, y) => `M${x} ${y - 4.4}l4.2 7.4h-8.4z`,
    (x, y) => `M${x} ${y - 4.6}l4.6 4.6l-4.6 4.6l-4.6 -4.6z`,
    (x, y) => `M${x} ${y + 4.4}l4.2 -7.4h-8.4z`,
    (x, y) => `M${x - 1.3} ${y - 4.2}h2.6v2.9h2.9v2.6h-2.9v2.9h-2.6v-2.9h-2.9v-2.6h2.9z`,
  ];

  // Round values between the two, at every power of `base`; thinned to what can be read.
  const ticksOf = (low, high, base, most) => {
    const from = Math.floor(Math.log(low) / Math.log(base) - 1e-9), to = Math.ceil(Math.log(high) / Math.log(base) + 1e-9);
    const every = Math.max(1, Math.ceil((to - from) / most));
    const ticks = [];
    for (let power = from; power <= to; power += every) ticks.push(base ** power);
    return ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  };

  // {x: {name, format}, y: {name, format}, series: [{name, colour, points: [{x, y}]}]} of positive numbers
  clade.chart = ({ x, y, series }) => {
    const points = series.flatMap((each) => each.points);
    const range = (of) => [Math.min(...points.map(of)), Math.max(...points.map(of))];
    let [x0, x1] = range((point) => point.x), [y0, y1] = range((point) => point.y);
    if (x0 === x1) [x0, x1] = [x0 / 2, x1 * 2];
    [y0, y1] = [y0 / 1.3, y1 * 1.3];
    const atX = (value) => LEFT + ((WIDTH - LEFT - RIGHT) * Math.log(value / x0)) / Math.log(x1 / x0);
    const atY = (value) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * Math.log(value / y0)) / Math.log(y1 / y0);
    const picture = clade.svg('svg', { class: 'chart', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${y.name} against ${x.name}; the numbers are in the table below` });
    for (const tick of ticksOf(x0, x1, 2, 8))
      picture.append(clade.svg('line', { class: 'grid', x1: atX(tick), x2: atX(tick), y1: TOP, y2: HEIGHT - BOTTOM }),
        clade.svg('text', { x: atX(tick), y: HEIGHT - BOTTOM + 17, 'text-anchor': 'middle' }, x.format(tick)));
    const decades = ticksOf(y0, y1, 10, 7);
    for (const tick of decades.length > 1 ? decades : ticksOf(y0, y1, 2, 7))
      picture.append(clade.svg('line', { class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: atY(tick), y2: atY(tick) }),
        clade.svg('text', { x: LEFT - 8, y: atY(tick) + 4, 'text-anchor': 'end' }, y.format(tick)));
    picture.append(clade.svg('text', { class: 'name', x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 8, 'text-anchor': 'middle' }, x.name),
      clade.svg('text', { class: 'name', transform: `translate(14 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)`, 'text-anchor': 'middle' }, y.name));
    series.forEach((each, index) => {
      const line = each.points.map((point, i) => `${i ? 'L' : 'M'}${atX(point.x).toFixed(1)} ${atY(point.y).toFixed(1)}`).join('');
      const group = clade.svg('g', { class: 'curve', 'data-series': index },
        clade.svg('title', {}, each.name),
        clade.svg('path', { d: line, class: 'reach' }),
        clade.svg('path', { d: line, stroke: each.colour, 'stroke-dasharray': DASHES[index % DASHES.length] || null }));
      for (const point of each.points)
        group.append(clade.svg('path', { class: 'mark', fill: each.colour, d: MARKS[index % MARKS.length](atX(point.x), atY(point.y)) },
          clade.svg('title', {}, `${each.name}, ${x.format(point.x)}: ${y.format(point.y)}`)));
      picture.append(group);
    });
    return clade.element('figure', { class: 'plot' }, picture, legendOf(series, picture), tableOf(x, y, series));
  };

  const sample = (colour, index) =>
    clade.svg('svg', { viewBox: '0 0 30 12', width: 30, height: 12, 'aria-hidden': 'true' },
      clade.svg('path', { d: 'M1 6h28', stroke: colour, 'stroke-width': 1.8, fill: 'none', 'stroke-dasharray': DASHES[index % DASHES.length] || null }),
      clade.svg('path', { d: MARKS[index % MARKS.length](15, 6), fill: colour }));

  // Pointing at a name brings its curve forward.
  const legendOf = (series, picture) => {
    const bring = (index) => {
      picture.classList.toggle('dim', index !== null);
      picture.querySelectorAll('.curve').forEach((curve) => curve.classList.toggle('lit', Number(curve.dataset.series) === index));
    };
    return clade.element('ul', { class: 'names' }, series.map((each, index) =>
      clade.element('li', { onmouseenter: () => bring(index), onmouseleave: () => bring(null), onfocusin: () => bring(index), onfocusout: () => bring(null) },
        sample(each.colour, index), each.key ? clade.element('a', { href: `#/${each.key}` }, each.name) : each.name)));
  };

  const tableOf = (x, y, series) => {
    const columns = [...new Set(series.flatMap((each) => each.points.map((point) => point.x)))].sort((a, b) => a - b);
    return clade.element('details', { class: 'numbers' }, clade.element('summary', {}, 'The numbers'),
      clade.element('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `${y.name} against ${x.name}` },
        clade.element('table', {},
          clade.element('thead', {}, clade.element('tr', {}, clade.element('th', { scope: 'col' }, x.name), columns.map((column) => clade.element('th', { scope: 'col' }, x.format(column))))),
          clade.element('tbody', {}, series.map((each) => clade.element('tr', {}, clade.element('th', { scope: 'row' }, each.name),
            columns.map((column) => {
              const point = each.points.find((candidate) => candidate.x === column);
              return clade.element('td', {}, point ? y.format(point.y) : '–');
            })))))));
  };
}
