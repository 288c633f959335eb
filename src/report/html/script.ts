/**
 * The script of a page. It adds a search, a button that opens all stacks, and a closer look at a part of the graph; the
 * page is whole without it. It is constant, as {@link styles} are, and takes texts from the page as texts alone.
 */
export const script: string = `
'use strict';
(() => {
  const find = (selector, root = document) => [...root.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);

  const search = byId('search');
  if (search !== null) {
    find('.tools').forEach((each) => { each.hidden = false; });
    const rows = find('#findings :is(.card, tbody tr)').map((element) => ({ element, text: element.textContent.toLowerCase() }));
    const counted = rows.filter(({ element }) => element.closest('.index') === null);
    const filter = () => {
      const words = search.value.toLowerCase().split(/\\s+/).filter((word) => word !== '');
      for (const row of rows) {
        row.element.hidden = !words.every((word) => row.text.includes(word));
      }
      const others = byId('others');
      if (words.length > 0 && others !== null) others.open = true;
      const left = counted.filter(({ element }) => !element.hidden).length;
      byId('matches').textContent = words.length === 0 ? '' : left + ' of ' + counted.length;
    };
    let waiting;
    search.addEventListener('input', () => {
      clearTimeout(waiting);
      waiting = setTimeout(filter, 120);
    });

    const unfold = byId('unfold');
    unfold.addEventListener('click', () => {
      const open = unfold.getAttribute('aria-pressed') !== 'true';
      unfold.setAttribute('aria-pressed', String(open));
      find('.stack').forEach((stack) => { stack.open = open; });
    });
  }

  const graph = document.querySelector('.flame');
  if (graph !== null) {
    const frames = find('a, .rest', graph).map((link) => {
      const box = link.querySelector('svg');
      const left = parseFloat(box.getAttribute('x'));
      const width = parseFloat(box.getAttribute('width'));
      return { link, box, left, width, row: Number(box.getAttribute('y')), title: link.querySelector('title').textContent };
    });
    const shown = byId('frame');
    const whole = byId('whole');
    const tools = document.querySelector('.flame-tools');
    tools.hidden = false;
    const describe = (frame) => {
      shown.textContent = frame === undefined ? '' : frame.title;
    };
    const zoom = (to) => {
      const left = to === undefined ? 0 : to.left;
      const width = to === undefined ? 100 : to.width;
      for (const { link, box, ...frame } of frames) {
        const isAbove = to !== undefined && frame.row < to.row && frame.left <= left + 0.01 && frame.left + frame.width >= left + width - 0.01;
        const x = isAbove ? 0 : ((frame.left - left) / width) * 100;
        const wide = isAbove ? 100 : (frame.width / width) * 100;
        link.style.display = x > 99.99 || x + wide < 0.01 ? 'none' : '';
        box.setAttribute('x', x + '%');
        box.setAttribute('width', wide + '%');
        // A box that was too narrow for its name has room for it now.
        if (wide > 1.2 && box.querySelector('text') === null) {
          const text = document.createElementNS(box.namespaceURI, 'text');
          text.setAttribute('x', '5');
          text.setAttribute('y', '15');
          text.textContent = frame.title;
          box.append(text);
        }
      }
      whole.hidden = to === undefined;
    };
    whole.addEventListener('click', () => {
      zoom(undefined);
      frames[0].link.focus();
    });
    let current;
    for (const frame of frames) {
      for (const event of ['focusin', 'pointerenter']) frame.link.addEventListener(event, () => describe(frame));
      // The first click looks closer; a click on the frame that is as wide as the graph follows its link.
      frame.link.addEventListener('click', (event) => {
        const isWhole = parseFloat(frame.box.getAttribute('width')) > 99.9;
        if (event.ctrlKey || event.metaKey || event.shiftKey || (isWhole && current === frame) || frame.link.classList.contains('leaf')) return;
        event.preventDefault();
        current = frame;
        zoom(frame);
      });
    }
  }
})();
`;
