// Changes texts in place as they change in the fleet. Pages are whole without it. Nothing is drawn while a tab is hidden, or
// while its reader has stopped it.
const button = document.getElementById('live');
const said = document.getElementById('as-of');
let source = null;
let stopped = false;

function show(event) {
  for (const [id, [text, kind]] of Object.entries(JSON.parse(event.data))) {
    const element = document.getElementById(id);
    if (element && text !== null && element.textContent !== text) element.textContent = text;
    if (element && kind !== null && element.className !== kind) element.className = kind;
  }
}

function follow() {
  const wanted = !stopped && !document.hidden;
  if (wanted && !source) {
    source = new EventSource('live');
    source.onmessage = show;
    // The browser tries again by itself, and the first event says all of it.
    source.onerror = () => { said.textContent = 'not connected'; };
  } else if (!wanted && source) {
    source.close();
    source = null;
    said.textContent = stopped ? 'stopped' : 'hidden';
  }
}

// The charts are drawn by the server; while nobody reads them closely they are fetched anew.
async function redraw() {
  const charts = document.getElementById('charts');
  const isRead = charts && (charts.matches(':hover, :focus-within') || charts.querySelector('details[open]'));
  if (!charts || isRead || !source) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const drawn = answer.ok && page.getElementById('charts');
    if (drawn) charts.replaceChildren(...drawn.childNodes);
  } catch {
    // What is shown says how old it is.
  }
}

function clock() {
  for (const time of document.querySelectorAll('time[datetime]')) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.title = `${at.toLocaleString()} (${time.dateTime})`;
  }
}

if (button) {
  button.hidden = false;
  button.addEventListener('click', () => {
    stopped = !stopped;
    button.textContent = stopped ? 'Resume updates' : 'Pause updates';
    button.setAttribute('aria-pressed', String(stopped));
    follow();
  });
  document.addEventListener('visibilitychange', follow);
  follow();
  setInterval(redraw, 20000);
}
clock();
