// Everything works without this. It copies, filters, keeps times up to date, counts what is ticked, and fetches
// what changes. It makes no markup of text: fragments are parsed by the browser as documents.
'use strict';
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Times: as the server says them.
  const MINUTE = 60e3, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
  const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
  const relative = (at, now) => {
    const apart = at - now, size = apart < MINUTE ? Math.abs(apart) : apart + MINUTE - 1, ahead = apart > 0;
    let words;
    if (size < MINUTE) return ahead ? 'in a moment' : 'just now';
    if (size < HOUR) words = `${Math.floor(size / MINUTE)} min`;
    else if (size < DAY) words = `${Math.floor(size / HOUR)} h`;
    else if (size < 2 * DAY && !ahead) return 'yesterday';
    else if (size < 90 * DAY) words = `${Math.floor(size / DAY)} day${size < 2 * DAY ? '' : 's'}`;
    else { const day = new Date(at); return `${day.getUTCDate()} ${MONTHS[day.getUTCMonth()]} ${day.getUTCFullYear()}`; }
    return ahead ? `in ${words}` : `${words} ago`;
  };
  const tick = () => {
    const now = Date.now();
    for (const time of all('time[data-ago]')) {
      const words = relative(Date.parse(time.dateTime), now);
      if (time.textContent !== words) time.textContent = words;
    }
  };
  setInterval(tick, 30e3);

  // Copy a secret, and select it on focus.
  for (const button of all('[data-copy]')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      const input = document.getElementById(button.dataset.copy);
      const said = $('[data-copied]');
      input.focus();
      input.select();
      let done = false;
      try { await navigator.clipboard.writeText(input.value); done = true; } catch { try { done = document.execCommand('copy'); } catch { done = false; } }
      button.textContent = done ? 'Copied' : 'Selected';
      said.textContent = done ? 'Copied. Paste it where it belongs.' : 'Selected. Press Ctrl+C or ⌘C.';
      isKept = isKept || done;
    });
  }
  let isKept = !$('[data-secret]');
  for (const input of all('[data-secret]')) {
    input.addEventListener('focus', () => input.select());
    input.addEventListener('copy', () => { isKept = true; });
  }
  for (const link of all('[data-leave]')) link.addEventListener('click', () => { isKept = true; });
  addEventListener('beforeunload', event => { if (!isKept) event.preventDefault(); });

  // A form that is being sent is not sent twice.
  for (const form of all('form[method=post]')) {
    form.addEventListener('submit', event => {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = '1';
      // Back from the next page, it may be sent again: the server knows one that was.
      setTimeout(() => { delete form.dataset.sent; }, 5e3);
    });
  }
  addEventListener('pageshow', () => { for (const form of all('form')) delete form.dataset.sent; });

  // The picker of permissions: counts, and templates that fill the boxes in.
  const boxes = all('input[name=p]:not([data-grows])'), growing = all('input[data-grows]');
  if (boxes.length) {
    const words = (ticked, of) => {
      const writing = ticked.filter(box => 'writes' in box.dataset).length;
      return `${ticked.length} of ${of}${writing ? `, ${writing} write` : ''}`;
    };
    const count = () => {
      for (const group of all('details.group')) {
        const own = all('input[name=p]:not([data-grows])', group), tally = $('[data-tally]', group);
        if (own.length && tally) tally.textContent = words(own.filter(box => box.checked), own.length);
      }
      const total = $('[data-total]');
      if (!total) return;
      const ticked = boxes.filter(box => box.checked), writing = ticked.filter(box => 'writes' in box.dataset).length;
      total.textContent = ticked.length
        ? `${ticked.length} permission${ticked.length === 1 ? '' : 's'}, ${writing === 0 ? 'none of them writes' : writing === 1 ? '1 of them writes' : `${writing} of them write`}.`
        : 'No permission yet: the token would prove who it is, and nothing more.';
    };
    // A group that grows holds all that is in it.
    const grow = () => {
      for (const box of boxes) {
        box.disabled = growing.some(all => all.checked && box.value.startsWith(all.value.slice(0, -2)));
        box.checked = box.checked || box.disabled;
      }
      count();
    };
    grow();
    for (const box of [...boxes, ...growing]) box.addEventListener('change', grow);
    const preset = $('#preset');
    if (preset) {
      const button = $('button[value=preset]');
      if (button) button.hidden = true;
      preset.addEventListener('change', () => {
        const paths = (preset.selectedOptions[0].dataset.paths || '').split(',');
        if (!preset.value) return;
        for (const box of growing) box.checked = false;
        for (const box of boxes) box.checked = paths.includes(box.value);
        for (const group of all('details.group')) if ($('input[name=p]:checked', group)) group.open = true;
        grow();
      });
    }
    // A box to look for a permission by a part of its name.
    const first = $('details.group');
    if (first) {
      const look = document.createElement('input');
      look.type = 'search';
      look.placeholder = 'Find a permission';
      look.setAttribute('aria-label', 'Find a permission');
      first.before(look);
      look.addEventListener('keydown', event => { if (event.key === 'Enter') event.preventDefault(); });
      look.addEventListener('input', () => {
        const wanted = look.value.trim().toLowerCase();
        for (const group of all('details.group')) {
          const picks = all('.pick', group).filter(pick => $('input[name=p]', pick));
          if (!picks.length) continue;
          let found = 0;
          for (const pick of picks) { pick.hidden = wanted && !pick.textContent.toLowerCase().includes(wanted); found += pick.hidden ? 0 : 1; }
          group.hidden = !found;
          if (wanted && found) group.open = true;
        }
      });
    }
  }

  // The day is chosen with its box.
  const date = $('#date');
  if (date) date.addEventListener('input', () => { const radio = $('input[name=ends][value=date]'); if (radio) radio.checked = true; });

  // Parts that change by themselves. The document is parsed by the browser; its scripts do not run.
  const fetchPart = (url, id) => new Promise(done => {
    const request = new XMLHttpRequest();
    request.open('GET', url);
    request.responseType = 'document';
    request.onload = () => done(request.status === 200 && request.response ? request.response.getElementById(id) : request.status === 401 ? 'over' : null);
    request.onerror = () => done(null);
    request.send();
  });
  for (const part of all('[data-live]')) {
    const { id } = part, url = part.dataset.live;
    const timer = setInterval(async () => {
      if (document.hidden) return;
      const now = document.getElementById(id), fresh = await fetchPart(url, id);
      if (fresh === 'over') { clearInterval(timer); isOver(); return; }
      if (!fresh || fresh.textContent.trim() === now.textContent.trim()) return;
      const live = document.importNode(fresh, true);
      live.setAttribute('aria-live', 'polite');
      now.replaceWith(live);
      clearInterval(timer);
    }, 3e3);
  }

  // Before a session ends, and when it has.
  const say = text => {
    let note = $('#session-note');
    if (!note) {
      note = document.createElement('div');
      note.id = 'session-note';
      note.className = 'note warn';
      note.setAttribute('role', 'status');
      const main = $('#main');
      if (main) main.prepend(note);
    }
    note.textContent = text;
  };
  const isOver = () => say('Your session is over. What you typed here stays: send it, sign in again, and it goes on.');
  const ends = Date.parse(document.body.dataset.ends || '');
  if (ends) {
    const left = ends - Date.now();
    if (left > 0 && left < 2 ** 31) {
      setTimeout(() => say('Your session ends in 5 minutes. Save what you are doing, then sign in again.'), Math.max(0, left - 5 * MINUTE));
      setTimeout(isOver, left);
    }
  }
})();
