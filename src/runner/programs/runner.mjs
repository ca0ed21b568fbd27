// Runs JavaScript functions for jiggler-uring: node -e THIS -- PATH. The protocol is in the documentation of the crate,
// `runner`. Each child loads the application by itself, because Node cannot fork; its jobs share one event loop.
import { AsyncLocalStorage } from 'node:async_hooks';
import { createInterface } from 'node:readline';
import { readFileSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const socket = new Socket({ fd: Number(process.env.JIGGLER_URING_FD), readable: true, writable: true });
const measures = 'JIGGLER_URING_MEMORY' in process.env;
for (const name of ['FD', 'ROLE', 'MEMORY']) delete process.env[`JIGGLER_URING_${name}`];
socket.on('error', () => process.exit(0));

// All that is said in one turn of the event loop is written at once.
let said = '';
const flush = () => { socket.write(said); said = ''; };
const say = (message) => {
  if (said === '') setImmediate(flush);
  // Halves of surrogate pairs, which are escaped, are no UTF-8; what an escaped backslash precedes is text.
  const line = JSON.stringify(message).replace(/\\\\|\\ud[89a-f][0-9a-f]{2}/g, (found) => (found[1] === '\\' ? found : '\\ufffd'));
  said += line + '\n';
};

const count = (number) => Math.min(Math.max(0, Math.trunc(number)), Number.MAX_SAFE_INTEGER) || 0;

const runs = new AsyncLocalStorage();
const pushes = new Map();
let references = 0;
let looked = Date.now();

class Run {
  constructor(number, info, payload) {
    Object.assign(this, { number, name: info.name, jid: info.jid, queue: info.queue, attempt: info.attempt, payload });
    this.controller = new AbortController();
    this.signal = this.controller.signal;
  }
  progress(done, total, note = '') { say(['progress', this.number, count(done), count(total), String(note)]); }
  log(text, level = 'info') { say(['log', this.number, String(level), String(text)]); }
  enqueue(name, args = [], options = {}) {
    return new Promise((done, refused) => {
      pushes.set(++references, { done, refused });
      say(['enqueue', this.number, references, { name, args, ...options }]);
    });
  }
}

globalThis.jigglerUring = {
  current: () => runs.getStore(),
  enqueue: (...given) => runs.getStore().enqueue(...given),
  // Thrown by a job, these say more than that it failed.
  snooze: (seconds) => Object.assign(new Error(`runs again in ${seconds} s`), { snooze: seconds }),
  discard: (message) => Object.assign(new Error(message), { discard: true }),
  dead: (message) => Object.assign(new Error(message), { dead: true }),
  retryIn: (seconds, message) => Object.assign(new Error(message), { retryIn: seconds }),
};

const shown = (look, most) => {
  try {
    return String(look()).slice(0, most);
  } catch {
    return '(it cannot be shown)';
  }
};

const failure = (error) => ({
  class: shown(() => error?.name ?? 'Error', 200),
  message: shown(() => error?.message ?? error, 10000),
  backtrace: shown(() => error?.stack ?? '', 200000).split('\n').slice(1, 101).map((line) => line.trim().slice(0, 1000)),
});

const verdict = (number, error) => {
  if (typeof error?.snooze === 'number') return ['snooze', number, error.snooze];
  if (error?.discard === true) return ['discard', number, failure(error)];
  if (error?.dead === true) return ['dead', number, failure(error)];
  const told = failure(error);
  if (typeof error?.retryIn === 'number') told.retry_in = error.retryIn;
  return ['failed', number, told];
};

// How a job failed, whatever its error does when it is looked at.
const answerOf = (number, error) => {
  try {
    return verdict(number, error);
  } catch {
    return ['failed', number, { class: 'JigglerUring::UntoldError', message: 'its error cannot be told' }];
  }
};

const running = new Map();

const start = async (app, number, info, payload) => {
  const run = new Run(number, info, payload);
  running.set(number, run);
  let answer = ['done', number];
  try {
    const own = (object) => (object && Object.hasOwn(object, run.name) ? object[run.name] : undefined);
    const job = own(app) ?? own(app.jobs) ?? own(app.default);
    if (typeof job !== 'function') {
      throw Object.assign(new Error(`no function is exported for job ${run.name}`), { name: 'JigglerUring::UnknownJob' });
    }
    await runs.run(run, () => job(...(payload.args ?? [])));
  } catch (error) {
    answer = answerOf(number, error);
  }
  running.delete(number);
  say(answer);
  if (measures && Date.now() - looked > 1000) {
    looked = Date.now();
    let kb = null;
    try {
      kb = /^Pss:\s+(\d+)/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'));
    } catch { /* it is not known then */ }
    if (kb) say(['memory', Number(kb[1]) * 1024]);
  }
};

const hear = (app, [word, ...rest]) => {
  if (word === 'job') start(app, ...rest);
  else if (word === 'cancel') running.get(rest[0])?.controller.abort();
  else if (word === 'enqueued' || word === 'refused') {
    const push = pushes.get(rest[0]);
    pushes.delete(rest[0]);
    if (word === 'enqueued') push?.done(rest[1]);
    else push?.refused(new Error(rest[1]));
  } else if (word === 'bye') process.exit(0);
};

const given = process.argv[process.argv.length - 1];
let path = resolve(given);
if (statSync(path).isDirectory()) {
  const about = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  path = join(path, about.main ?? 'index.mjs');
}
// Node's own report ends with its version; the reason of the end is to be the last thing that is not indented.
const app = await import(pathToFileURL(path)).catch((error) => {
  console.error(error?.stack ?? error);
  process.exit(1);
});
const lines = createInterface({ input: socket, crlfDelay: Infinity });
lines.on('line', (line) => hear(app, JSON.parse(line)));
lines.on('close', () => process.exit(0));
say(['hello', { protocol: 1, language: `node ${process.versions.node}` }]);
