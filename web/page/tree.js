// tree.js: the picture that the server drew, to be moved, zoomed, walked and lit.
'use strict';

{
  const NEAREST = 8;
  const still = matchMedia('(prefers-reduced-motion: reduce)');

  class Tree {
    constructor(section, onOpen) {
      this.canvas = section.querySelector('.canvas');
      this.axis = section.querySelector('.axis');
      this.onOpen = onOpen;
      this.view = { x: 0, y: 0, k: 1 };
      this.hidden = new Set(); // families
      this.pointers = new Map();
      this.loaded = new Map(); // pictures by method
      this.listen();
      new ResizeObserver(() => this.resize()).observe(this.canvas);
    }

    // ---- the picture ----

    async show(method) {
      if (!this.loaded.has(method)) this.loaded.set(method, this.prepare(await clade.load(`api/tree/${method}.svg`)));
      this.relations = await clade.treeBy(method);
      this.picture = this.loaded.get(method);
      this.canvas.replaceChildren(this.picture.svg);
      this.axis.replaceChildren(...this.picture.years.map((year) => year.label));
      this.measured = null;
      if (this.canvas.clientWidth) this.measure();
      this.fit(false);
      this.light(this.selected);
      this.filter();
    }

    // Nodes lead to cards in place of papers; what the page says itself, title and legend, goes.
    prepare(text) {
      const svg = document.importNode(new DOMParser().parseFromString(text.replace(/<style>[^]*?<\/style>/, ''), 'image/svg+xml').documentElement, true);
      const [, , width, height] = svg.getAttribute('viewBox').split(' ').map(Number);
      for (const name of ['width', 'height', 'viewBox', 'aria-labelledby']) svg.removeAttribute(name);
      svg.querySelectorAll(':scope > title, :scope > desc, :scope > text, :scope > path, #legend').forEach((part) => part.remove());
      const world = clade.svg('g', {}, [...svg.childNodes]);
      svg.append(world);
      svg.setAttribute('role', 'group');
      svg.setAttribute('aria-label', 'Family tree; arrow keys go from relative to relative');
      const nodes = new Map();
      for (let group of [...world.querySelectorAll('.node')]) {
        const key = group.id.slice('node-'.length);
        if (!clade.data.variants.has(key)) continue;
        if (group.localName !== 'a') {
          const link = clade.svg('a', { id: group.id, class: group.getAttribute('class') }, [...group.childNodes]);
          group.replaceWith(link);
          group = link;
        }
        group.setAttribute('href', `#/${key}`);
        group.setAttribute('tabindex', '-1');
        group.dataset.key = key;
        nodes.set(key, group);
      }
      const years = [];
      for (const text_ of world.querySelectorAll('#years text')) {
        if (years.some((year) => year.text === text_.textContent)) continue;
        years.push({ text: text_.textContent, x: Number(text_.getAttribute('x')), label: clade.element('span', {}, text_.textContent) });
      }
      world.querySelectorAll('#years text').forEach((label) => label.remove());
      const edges = new Map();
      world.querySelectorAll('.edge').forEach((edge) => edges.set(edge.id, edge));
      return { svg, world, nodes, years, edges, width, height };
    }

    // Where things are is known only once they are shown.
    measure() {
      if (this.measured) return;
      const box = this.picture.world.getBBox();
      this.measured = { box, places: new Map() };
      for (const [key, node] of this.picture.nodes) {
        const at = node.getBBox();
        this.measured.places.set(key, { x: at.x + at.width / 2, y: at.y + at.height / 2, width: at.width, height: at.height });
      }
      const first = this.picture.nodes.keys().next().value;
      this.setCurrent(this.current && this.picture.nodes.has(this.current) ? this.current : first);
    }

    resize() {
      if (!this.picture || !this.canvas.clientWidth) return;
      const fresh = !this.measured;
      this.measure();
      if (fresh || this.fitted) this.fit(false);
      else this.apply();
      if (fresh && this.selected) this.moveTo(this.selected, false);
    }

    // ---- moving ----

    size() {
      return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
    }

    target() {
      const { width, height } = this.size();
      const { box } = this.measured;
      const k = Math.min((width - 24) / box.width, (height - 24) / box.height);
      return { k, x: (width - box.width * k) / 2 - box.x * k, y: (height - box.height * k) / 2 - box.y * k };
    }

    fit(animated = true) {
      if (!this.measured) return;
      this.go(this.target(), animated);
      this.fitted = true;
    }

    zoom(factor, x = this.size().width / 2, y = this.size().height / 2, animated = false) {
      if (!this.measured) return;
      const from = this.goal || this.view;
      const k = Math.min(NEAREST, Math.max(this.target().k * 0.6, from.k * factor));
      const scale = k / from.k;
      this.go({ k, x: x - (x - from.x) * scale, y: y - (y - from.y) * scale }, animated);
    }

    // Brings a variant into the middle of what the card leaves free, near enough to be read.
    moveTo(key, animated = true) {
      const place = this.measured?.places.get(key);
      if (!place) return;
      const { width, height } = this.size();
      const k = Math.max(this.view.k, 1.05);
      const free = clade.freeSpace(width, height);
      this.go({ k, x: free.width / 2 - place.x * k, y: free.height / 2 - place.y * k }, animated);
    }

    go(view, animated) {
      this.fitted = false;
      cancelAnimationFrame(this.frame);
      this.goal = null;
      if (!animated || still.matches) {
        this.view = view;
        this.apply();
        return;
      }
      const from = { ...this.view }, start = performance.now();
      this.goal = view;
      const step = (now) => {
        const t = Math.min(1, (now - start) / 280), ease = 1 - (1 - t) ** 3;
        const k = from.k * (view.k / from.k) ** ease;
        const share = view.k === from.k ? ease : (k - from.k) / (view.k - from.k);
        this.view = { k, x: from.x + (view.x - from.x) * share, y: from.y + (view.y - from.y) * share };
        this.apply();
        if (t < 1) this.frame = requestAnimationFrame(step);
        else this.goal = null;
      };
      this.frame = requestAnimationFrame(step);
    }

    apply() {
      const { x, y, k } = this.view;
      this.picture.world.setAttribute('transform', `translate(${x} ${y}) scale(${k})`);
      this.canvas.dataset.detail = k > 0.55 ? 'near' : 'far';
      let end = -Infinity;
      for (const year of this.picture.years) {
        const at = year.x * k + x;
        const room = at > 16 && at < this.size().width - 16 && at - end > 42;
        year.label.style.transform = `translateX(${at}px) translateX(-50%)`;
        year.label.classList.toggle('none', !room);
        if (room) end = at;
      }
    }

    // ---- light ----

    // A variant with its ancestors, descendants and donors stands out; null: all do.
    light(key) {
      this.selected = key;
      if (!this.picture) return;
      const { svg, nodes, edges } = this.picture;
      svg.querySelectorAll('.lit, .chosen').forEach((part) => part.classList.remove('lit', 'chosen'));
      const known = key && nodes.has(key);
      svg.classList.toggle('dim', Boolean(known));
      if (!known) return;
      const { parent, donors } = this.relations;
      const lit = new Set([...clade.lineOf(key, this.relations), ...clade.descendantsOf(key, this.relations)]);
      const lightEdge = (from, to) => edges.get(`edge-${from}.${to}`)?.classList.add('lit');
      for (const each of lit) if (lit.has(parent.get(each))) lightEdge(parent.get(each), each);
      for (const [borrower, from] of donors)
        for (const donor of from)
          if (donor === key || borrower === key) {
            lit.add(donor).add(borrower);
            lightEdge(donor, borrower);
          }
      for (const each of lit) nodes.get(each)?.classList.add('lit');
      nodes.get(key).classList.add('chosen');
      this.setCurrent(key);
    }

    filter() {
      for (const [key, node] of this.picture.nodes)
        node.classList.toggle('off', this.hidden.has(clade.data.variants.get(key).family));
    }

    toggleFamily(family) {
      if (!this.hidden.delete(family)) this.hidden.add(family);
      if (this.picture) this.filter();
    }

    // ---- walking ----

    setCurrent(key) {
      this.picture.nodes.get(this.current)?.setAttribute('tabindex', '-1');
      this.current = key;
      this.picture.nodes.get(key)?.setAttribute('tabindex', '0');
    }

    focus(key = this.current) {
      const node = this.picture?.nodes.get(key);
      if (!node) return;
      this.setCurrent(key);
      node.focus({ preventScroll: true });
      const place = this.measured.places.get(key), { width, height } = this.size(), { x, y, k } = this.view;
      const at = { x: place.x * k + x, y: place.y * k + y };
      if (k < 0.9 || at.x < 80 || at.y < 60 || at.x > width - 80 || at.y > height - 60) this.moveTo(key);
    }

    siblingsOf(key) {
      const parent = this.relations.parent.get(key);
      const all = parent ? this.relations.children.get(parent) : this.relations.roots;
      const { places } = this.measured;
      return all.filter((each) => places.has(each)).sort((a, b) => places.get(a).y - places.get(b).y);
    }

    walk(direction) {
      const key = this.current, siblings = this.siblingsOf(key), at = siblings.indexOf(key);
      const { places } = this.measured;
      const children = (this.relations.children.get(key) || []).filter((child) => places.has(child));
      const next = {
        ArrowLeft: this.relations.parent.get(key),
        ArrowRight: children.sort((a, b) => places.get(a).y - places.get(b).y)[0],
        ArrowUp: siblings[at - 1],
        ArrowDown: siblings[at + 1],
      }[direction];
      if (next) this.focus(next);
    }

    // ---- hands ----

    listen() {
      const { canvas } = this;
      canvas.addEventListener('wheel', (event) => {
        event.preventDefault();
        const box = canvas.getBoundingClientRect();
        this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : event.ctrlKey ? 0.01 : 0.0018)), event.clientX - box.left, event.clientY - box.top);
      }, { passive: false });
      canvas.addEventListener('pointerdown', (event) => {
        if (event.button) return;
        this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
        if (this.pointers.size === 1) this.moved = 0;
      });
      canvas.addEventListener('pointermove', (event) => this.drag(event));
      for (const name of ['pointerup', 'pointercancel'])
        canvas.addEventListener(name, (event) => {
          this.pointers.delete(event.pointerId);
          canvas.classList.toggle('dragging', false);
        });
      canvas.addEventListener('click', (event) => {
        const key = event.target.closest('[data-key]')?.dataset.key;
        event.preventDefault();
        if (this.moved > 5) return; // it was a drag
        this.onOpen(key || null);
      }, true);
      canvas.addEventListener('dragstart', (event) => event.preventDefault());
      canvas.addEventListener('keydown', (event) => {
        if (event.altKey || event.ctrlKey || event.metaKey || !event.target.closest('[data-key]')) return;
        if (event.key.startsWith('Arrow')) this.walk(event.key);
        else if (event.key === 'Enter' || event.key === ' ') this.onOpen(this.current, true);
        else return;
        event.preventDefault();
        event.stopPropagation();
      });
    }

    drag(event) {
      const before = this.pointers.get(event.pointerId);
      if (!before || !this.measured) return;
      const now = { x: event.clientX, y: event.clientY };
      const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, pointer]) => pointer);
      this.pointers.set(event.pointerId, now);
      this.moved += Math.hypot(now.x - before.x, now.y - before.y);
      if (this.moved <= 5) return;
      if (!this.canvas.hasPointerCapture(event.pointerId)) this.canvas.setPointerCapture(event.pointerId);
      this.canvas.classList.add('dragging');
      if (others.length === 1) { // two fingers: what is between them stays there
        const box = this.canvas.getBoundingClientRect(), other = others[0];
        const factor = Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
        this.zoom(factor, (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
      }
      const share = others.length === 1 ? 0.5 : 1;
      this.go({ k: this.view.k, x: this.view.x + (now.x - before.x) * share, y: this.view.y + (now.y - before.y) * share }, false);
    }
  }

  clade.Tree = Tree;
}
