// The page: one socket for each robot, one robot shown. All text that comes is shown as text.

import {ACTIONS, make, memory, picture, plan, shares, text} from '/draw.js';
import {Wheel} from '/drive.js';

const EXAMPLES = ['go to the pink ball', 'walk past the table and stop by the door', 'turn left and go to the plant'];
const STALE = 1500; // ms without a word from the console after which nothing shown is true
const UNANSWERED = 1000; // ms after which a stop that is not acknowledged is an alarm
const MOST_SAID = 20;
const $ = (name) => document.getElementById(name);
const stage = $('picture');
let role = '', links = [], shown = null, mayStop = false;
let stopAt = 0, stopError = '', plannedAt = 0;

class Link {
  constructor(name) {
    Object.assign(this, {
      name, state: null, heardAt: -Infinity, decisions: [], episodes: [], path: [], bitmap: null, drawnAt: -Infinity,
      asked: new Map(), asks: 0, episode: '', image: null, mapVersion: 0, wait: 250, taken: false,
    });
    this.connect();
  }

  connect() {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    this.socket = new WebSocket(`${scheme}://${location.host}/socket?robot=${encodeURIComponent(this.name)}`);
    this.socket.binaryType = 'blob';
    this.socket.onopen = () => { this.wait = 250; this.decisions = []; this.path = []; this.look(); };
    this.socket.onmessage = (event) => (typeof event.data === 'string' ? this.hear(JSON.parse(event.data)) : this.see(event.data));
    this.socket.onclose = () => {
      this.heardAt = -Infinity;
      for (const {resolve} of this.asked.values()) resolve({done: false, text: 'the connection is lost'});
      this.asked.clear();
      if (this === shown) wheel.end();
      if (!links.includes(this)) return;
      this.wait = Math.min(2 * this.wait, 5000);
      setTimeout(() => enter(this), this.wait);
    };
  }

  get open() { return this.socket.readyState === WebSocket.OPEN; }

  send(message) { if (this.open) this.socket.send(JSON.stringify(message)); }

  ask(message) {
    if (!this.open) return Promise.resolve({done: false, text: 'there is no connection'});
    this.asks += 1;
    const id = this.asks;
    this.send({...message, id});
    return new Promise((resolve) => this.asked.set(id, {resolve}));
  }

  look() {
    const size = document.hidden ? 'none' : this === shown ? 'large' : shown ? 'none' : 'small';
    this.send({type: 'look', size});
  }

  hear(message) {
    this.heardAt = performance.now();
    if (message.type === 'state') {
      if (message.truth && this.state && !this.state.truth) this.path = []; // it was in another frame
      this.state = message;
      const pose = message.pose, last = this.path[this.path.length - 1];
      if (pose && (!last || Math.hypot(pose.x - last[0], pose.y - last[1]) > 0.05)) this.path.push([pose.x, pose.y]);
      if (message.map && message.map.version !== this.mapVersion) {
        this.mapVersion = message.map.version;
        this.image = new Image();
        this.image.src = `/map?robot=${encodeURIComponent(this.name)}&version=${this.mapVersion}`;
      }
    } else if (message.type === 'path') {
      this.path = message.points;
    } else if (message.type === 'decisions') {
      if (message.episode !== this.episode) { this.episode = message.episode; this.decisions = []; if (this === shown) live(); }
      this.decisions.push(...message.decisions);
      this.decisions.splice(0, this.decisions.length - 500);
    } else if (message.type === 'episodes') {
      this.episodes = message.episodes;
      if (this === shown) episodes();
    } else if (message.type === 'answer' || message.type === 'confirm') {
      const asked = this.asked.get(message.id);
      this.asked.delete(message.id);
      if (asked) asked.resolve(message);
    }
    render();
  }

  async see(blob) {
    const head = new DataView(await blob.slice(0, 16).arrayBuffer());
    const number = head.getUint32(0, true);
    try {
      this.bitmap = await createImageBitmap(blob.slice(16));
      this.drawnAt = performance.now();
      if (this === shown && past === null) picture(stage, this.bitmap, this.newest());
      if (!shown && this.card) picture(this.card.querySelector('canvas'), this.bitmap, this.newest());
    } finally {
      this.send({type: 'seen', number});
    }
  }

  newest() {
    const working = this.state && this.state.navigator && ['DECIDING', 'WAITING_FRAME', 'WAITING_MOTION', 'PAUSED'].includes(this.state.navigator.state);
    return working ? this.decisions[this.decisions.length - 1] : undefined;
  }
}

const wheel = new Wheel($('stick'), $('knob'), (message) => shown && shown.send(message), () => shown && shown.send({type: 'give', id: 0}));

// ---- login ----

async function post(path, document, method = 'POST') {
  return fetch(path, {method, body: document === undefined ? undefined : JSON.stringify(document), keepalive: true, cache: 'no-store'});
}

async function enter(link) {
  let told = null;
  try {
    told = await (await fetch('/session', {cache: 'no-store'})).json();
  } catch (error) {
    if (link) setTimeout(() => enter(link), link.wait); else setTimeout(() => enter(), 1000);
    return;
  }
  mayStop = told.stop;
  if (!told.role) { leave(); return; }
  role = told.role;
  ACTIONS.splice(0, ACTIONS.length, ...told.actions);
  $('login').hidden = true;
  $('leave').hidden = false;
  if (link) { link.connect(); return; }
  if (links.length) return;
  links = told.robots.map((name) => new Link(name));
  choice();
  show(links.length > 1 ? null : links[0]);
}

function leave() {
  const old = links;
  links = [];
  shown = null;
  role = '';
  for (const link of old) link.socket.close();
  wheel.end();
  $('work').hidden = $('all').hidden = $('leave').hidden = $('robots').hidden = true;
  $('login').hidden = false;
  document.body.dataset.danger = 'lost';
  text($('name'), 'JanusVLN');
  text($('headline'), 'Not logged in');
  text($('detail'), mayStop ? 'the stop button works all the same' : '');
  $('stop').disabled = !mayStop;
  $('token').focus();
}

async function login(token) {
  const answer = await post('/session', {token}).catch(() => null);
  $('token').value = '';
  text($('login-error'), !answer ? 'the console does not answer' : answer.ok ? '' : (await answer.text()).trim());
  await enter();
}

$('enter').addEventListener('submit', (event) => { event.preventDefault(); login($('token').value.replace(/^.*#token=/, '')); });
$('leave').addEventListener('click', async () => { await post('/session', undefined, 'DELETE').catch(() => null); await enter(); });

// ---- which robot ----

// One, or null: all of them.
function show(link) {
  if (shown && shown !== link && shown.taken) { wheel.release(); shown.send({type: 'give', id: 0}); shown.taken = false; }
  if (shown !== link) wheel.end();
  shown = link;
  $('work').hidden = link === null;
  $('all').hidden = link !== null;
  for (const one of links) one.look();
  for (const button of $('robots').children) button.setAttribute('aria-current', String(button.link === link));
  live();
  episodes();
  render();
}

function choice() {
  const several = links.length > 1;
  $('robots').hidden = !several;
  text($('stop'), several ? 'STOP ALL' : 'STOP');
  $('robots').replaceChildren(...(several ? [null, ...links] : []).map((link) => {
    const button = make('button', undefined, 'quiet');
    button.type = 'button';
    button.link = link;
    if (link) { button.append(make('span', '●', 'mark'), make('span', link.name)); link.button = button; } else text(button, 'All');
    button.addEventListener('click', () => show(link));
    return button;
  }));
  $('all').replaceChildren(...links.map((link) => {
    link.card = make('section');
    const open = make('button', link.name), canvas = make('canvas');
    open.type = 'button';
    open.addEventListener('click', () => show(link));
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `Picture of ${link.name}`);
    link.card.append(canvas, open, make('p', '', 'headline'), make('p', '', 'detail'), make('p', '', 'order'));
    return link.card;
  }));
}

document.addEventListener('visibilitychange', () => { for (const link of links) link.look(); });

// ---- state in one glance ----

function judge(link) {
  const state = link.state, age = performance.now() - link.heardAt;
  if (!state || age > STALE) return ['lost', 'No connection', 'nothing shown here is true any more'];
  const motion = state.motion, navigator = state.navigator;
  if (!motion || motion.age > 1.5) return ['lost', 'Executor silent', 'nobody knows what the robot does'];
  if (motion.state === 'ESTOPPED') return ['stopped', 'Stopped', motion.message];
  if (motion.state === 'FAULT') return ['stopped', 'Fault', motion.message];
  if (state.drive.holder === 'you') return ['hand', 'You drive', state.drive.lock];
  if (state.drive.holder) return ['hand', 'Driven by hand', 'somebody else holds the wheel'];
  if (!navigator || navigator.age > 1.5) return ['paused', motion.state === 'IDLE' ? 'Stands' : 'Moves', 'the navigator is silent'];
  if (navigator.state === 'PAUSED') return ['paused', 'Paused', motion.message];
  if (navigator.state === 'DECIDING') return ['moves', 'Deciding', motion.message];
  if (navigator.state === 'WAITING_MOTION' || motion.state !== 'IDLE') return ['moves', 'Moving', motion.message];
  if (navigator.state === 'WAITING_FRAME') return ['moves', 'Waits for a picture', motion.message];
  if (navigator.state === 'INACTIVE') return ['paused', 'Navigator inactive', navigator.message];
  const ended = navigator.reason === 'NONE' ? 'waits for an instruction' : `${navigator.reason}: ${navigator.message}`;
  return ['calm', 'Ready', ended];
}

function render() {
  for (const link of links) {
    if (link.button) link.button.firstChild.className = `mark ${{calm: 'l0', moves: 'l0', paused: 'l1', hand: 'l1'}[judge(link)[0]] || 'l2'}`;
  }
  if (!shown) { overview(); return; }
  const [danger, headline, detail] = judge(shown);
  document.body.dataset.danger = danger;
  text($('name'), shown.name);
  text($('headline'), headline);
  text($('detail'), detail || '');
  $('stop').disabled = !mayStop;
  stopState();
  const state = shown.state;
  if (!state) return;
  const fresh = danger !== 'lost' || headline !== 'No connection';
  const navigator = fresh && state.navigator && state.navigator.age < 1.5 ? state.navigator : {};
  const works = ['DECIDING', 'WAITING_FRAME', 'WAITING_MOTION'].includes(navigator.state);
  text($('order-text'), navigator.instruction ? `“${navigator.instruction}”` : 'no instruction');
  const decision = past === null ? shown.decisions[shown.decisions.length - 1] : shown.decisions[past];
  text($('step'), decision ? String(decision.step) : '–');
  text($('seconds'), decision ? `${Math.round(1000 * decision.seconds)} ms` : '–');
  const latency = fresh ? state.link.latency : null;
  text($('latency'), latency === null ? '–' : `${Math.round(1000 * latency)} ms`);
  text($('rate'), `${state.camera.rate.toFixed(0)} Hz`);
  const moves = state.odometry && state.odometry.age < 1.5 ? state.odometry : null;
  text($('speed'), moves ? `${moves.linear.toFixed(2)} m/s` : '–');
  text($('turn'), moves ? `${Math.round(moves.angular * 180 / Math.PI)} °/s` : '–');
  shares($('shares'), decision);
  memory($('memory'), state.memory);
  const held = state.memory;
  text($('memory-text'), held.recent_size ? `${held.initial} initial | ${held.recent} recent` : `${held.recent} frames`);
  veil(fresh);
  timeline();
  buttons(navigator, works, fresh);
  lights(state, fresh);
  if (performance.now() - plannedAt > 200) {
    plannedAt = performance.now();
    plan($('map'), shown.path, fresh ? state.pose : null, state.map, shown.image);
  }
}

function overview() {
  if (!links.length) return;
  const judged = links.map((link) => judge(link));
  for (const [at, link] of links.entries()) {
    const [danger, headline, detail] = judged[at], navigator = link.state && link.state.navigator;
    link.card.dataset.danger = danger;
    text(link.card.querySelector('.headline'), headline);
    text(link.card.querySelector('.detail'), detail || '');
    text(link.card.querySelector('.order'), danger !== 'lost' && navigator && navigator.instruction ? `“${navigator.instruction}”` : '');
  }
  document.body.dataset.danger = ['lost', 'stopped', 'hand', 'paused', 'moves', 'calm'].find((one) => judged.some(([danger]) => danger === one));
  text($('name'), 'JanusVLN');
  text($('headline'), `${links.length} robots`);
  text($('detail'), links.map((link, at) => `${link.name}: ${judged[at][1]}`).join(', '));
  $('stop').disabled = !mayStop;
  stopState();
}

function veil(fresh) {
  const age = performance.now() - shown.drawnAt;
  let words = '';
  if (!fresh) words = 'no connection: this picture is old';
  else if (!shown.bitmap) words = 'no picture yet';
  else if (shown.state.camera.frozen) words = 'the picture does not change though the robot moves';
  else if (age > 1000 || shown.state.link.latency > 1) words = `this picture is ${(Math.max(age / 1000, shown.state.link.latency)).toFixed(1)} s old`;
  text($('veil'), past === null ? words : '');
}

function buttons(navigator, works, fresh) {
  const operates = role === 'operator' && fresh;
  const hand = shown.state.drive.holder;
  $('send').disabled = !operates || hand !== '';
  $('cancel').disabled = !operates || !(works || navigator.state === 'PAUSED');
  $('pause').disabled = !operates || !works;
  $('resume').disabled = !operates || navigator.state !== 'PAUSED' || hand !== '';
  $('forget').disabled = !operates || !(works || navigator.state === 'PAUSED');
  const mine = hand === 'you';
  $('take').hidden = mine;
  $('take').disabled = !operates || hand !== '' || document.body.dataset.danger === 'stopped';
  $('give').hidden = $('give-only').hidden = $('stick').hidden = !mine;
  $('work').classList.toggle('driving', mine);
  if (mine && shown.taken) wheel.start(); else wheel.end();
  $('give').disabled = !shown.paused;
  $('stick').className = shown.state.drive.lock ? 'locked' : 'live';
  text($('drive-state'), mine ? (shown.state.drive.lock ? `Locked: ${shown.state.drive.lock}.` : 'Hold a key, the stick or a gamepad; let go to stop.')
    : hand ? 'Somebody else drives this robot.' : role === 'viewer' ? 'A viewer cannot drive.' : 'Nobody drives. Taking over pauses the episode.');
}

function lights(state, fresh) {
  const rows = [];
  if (state.battery) rows.push([state.battery.percent < 15 ? 2 : state.battery.percent < 30 ? 1 : 0, 'battery', `${state.battery.percent} %`]);
  for (const light of state.lights) rows.push(light.age > 5 || !fresh ? [3, light.name, `silent for ${light.age} s`] : [light.level, light.name, light.text]);
  const key = JSON.stringify(rows);
  if ($('lights').dataset.key === key) return;
  $('lights').dataset.key = key;
  $('lights').replaceChildren(...(rows.length ? rows : [[3, 'diagnostics', 'none heard']]).map(([level, name, words]) => {
    const row = make('li'), body = make('div');
    const mark = make('span', ['●', '▲', '■', '□'][level], `l${level}`);
    mark.setAttribute('role', 'img');
    mark.setAttribute('aria-label', ['well', 'warning', 'error', 'silent'][level]);
    body.append(make('b', name), make('br'), make('small', words));
    row.append(mark, body);
    return row;
  }));
}

function episodes() {
  const rows = shown ? shown.episodes.slice().reverse() : [];
  $('past-episodes').replaceChildren(...(rows.length ? rows : [null]).map((one) => {
    if (!one) return make('li', 'none yet');
    const row = make('li', one.instruction || one.name);
    const began = new Date(1000 * one.began).toLocaleTimeString();
    if (one.bag) {
      const link = make('a', 'download its bag');
      link.href = `/recording?robot=${encodeURIComponent(shown.name)}&episode=${encodeURIComponent(one.name)}`;
      link.download = '';
      row.append(' ', link);
    }
    row.append(make('small', `${began} · ${one.outcome || 'under way'}${one.message ? `: ${one.message}` : ''}`));
    return row;
  }));
}

// ---- timeline ----

let past = null; // number in the list of decisions; null: live

function live() {
  past = null;
  $('past').hidden = true;
  if (shown && shown.bitmap) picture(stage, shown.bitmap, shown.newest());
}

function timeline() {
  const slider = $('time'), count = shown.decisions.length;
  slider.disabled = count === 0;
  slider.max = String(Math.max(0, count - 1));
  if (past === null) slider.value = slider.max;
  const at = past === null ? count - 1 : past;
  const decision = shown.decisions[at];
  text($('time-text'), decision ? `${at + 1} of ${count}: ${ACTIONS[decision.action]}` : 'none yet');
  slider.setAttribute('aria-valuetext', $('time-text').textContent);
}

$('time').addEventListener('input', async () => {
  const at = Number($('time').value), decision = shown.decisions[at];
  if (at === shown.decisions.length - 1) { live(); render(); return; }
  past = at;
  $('past').hidden = false;
  render();
  const answer = decision ? await fetch(`/picture?robot=${encodeURIComponent(shown.name)}&number=${decision.number}`).catch(() => null) : null;
  if (past !== at) return;
  if (answer && answer.status === 200) { picture(stage, await createImageBitmap(await answer.blob()), decision); return; }
  stage.getContext('2d').clearRect(0, 0, stage.width, stage.height);
});
$('live').addEventListener('click', () => { live(); render(); });

// ---- instruct ----

const said = JSON.parse(localStorage.getItem('said') || '[]').filter((one) => typeof one === 'string').slice(0, MOST_SAID);

function examples() {
  $('examples').replaceChildren(...[...new Set([...said, ...EXAMPLES])].map((words) => {
    const row = make('li'), button = make('button', words, 'quiet');
    button.type = 'button';
    button.addEventListener('click', () => { $('say').value = words; $('say').focus(); });
    row.append(button);
    return row;
  }));
}

async function act(verb, words, begun) {
  const link = shown;
  text($('answer'), begun);
  $('answer').className = '';
  const answer = await link.ask({type: 'do', verb, text: words});
  $('answer').className = answer.done ? 'yes' : 'no';
  text($('answer'), answer.done ? (answer.text || 'done') : `refused: ${answer.text}`);
  return answer.done;
}

$('order-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const words = $('say').value.trim();
  if (!words) { text($('answer'), 'write what the robot should do first'); return; }
  if (await act('send', words, 'sending …')) {
    said.splice(0, said.length, ...[words, ...said.filter((one) => one !== words)].slice(0, MOST_SAID));
    localStorage.setItem('said', JSON.stringify(said));
    examples();
    $('say').value = '';
  }
});
$('say').addEventListener('keydown', (event) => { if (event.key === 'Enter' && !event.shiftKey) { event.preventDefault(); $('order-form').requestSubmit(); } });
$('cancel').addEventListener('click', () => act('cancel', '', 'canceling …'));
$('pause').addEventListener('click', () => act('pause', '', 'pausing …'));
$('resume').addEventListener('click', () => act('resume', '', 'resuming …'));
$('forget').addEventListener('click', () => act('reset_memory', '', 'emptying the memory …'));

// ---- drive ----

$('take').addEventListener('click', async () => {
  const link = shown, works = link.state.navigator && ['DECIDING', 'WAITING_FRAME', 'WAITING_MOTION'].includes(link.state.navigator.state);
  link.taken = true; // from now on we say zero: who is silent loses the wheel
  const answer = await link.ask({type: 'take'});
  link.taken = answer.done;
  link.paused = works || (link.state.navigator && link.state.navigator.state === 'PAUSED');
  if (!answer.done) {
    link.send({type: 'give', id: 0});
    $('answer').className = 'no';
    text($('answer'), `not taken over: ${answer.text}`);
  }
  render();
  $('stick').focus();
});
async function give(goOn) {
  const link = shown;
  wheel.release();
  wheel.end();
  link.taken = false;
  await link.ask({type: 'give'});
  if (goOn) await act('resume', '', 'going on …');
  $('take').focus();
}
$('give').addEventListener('click', () => give(true));
$('give-only').addEventListener('click', () => give(false));

// ---- stop: needs nothing but the page ----

async function stop() {
  stopAt = performance.now();
  stopError = '';
  wheel.release();
  stopState();
  try {
    const answer = await post('/stop', {robot: ''});
    if (!answer.ok) stopError = (await answer.text()).trim();
  } catch (error) {
    stopError = 'the console does not answer';
  }
  stopState();
}

function stopState() {
  const states = links.filter((link) => link.state && performance.now() - link.heardAt < STALE).map((link) => link.state.stop);
  const stopped = states.length > 0 && states.length === links.length && states.every((one) => one === 'stopped');
  if (stopped) stopAt = 0;
  const node = $('stop-state'), pressed = stopAt || states.includes('pressed');
  let words = '';
  if (stopError) words = `STOP DID NOT WORK: ${stopError}. Use the robot's own button.`;
  else if (pressed && stopAt && performance.now() - stopAt > UNANSWERED) words = links.length ? 'STOP NOT ACKNOWLEDGED: use the robot’s own button.' : 'Stop was sent. Without a login nobody tells here whether it worked.';
  else if (pressed) words = 'Stop pressed, not acknowledged yet …';
  else if (!shown && states.includes('stopped')) words = `Stopped: ${links.filter((link) => link.state && link.state.stop === 'stopped').map((link) => link.name).join(', ')}.`;
  else if (shown && shown.state && shown.state.stop === 'stopped') words = 'The executor has stopped the robot.';
  if (node.dataset.words === words) return;
  node.dataset.words = words;
  node.replaceChildren(...(words ? [document.createTextNode(words)] : []));
  if (words && shown && shown.state && shown.state.stop === 'stopped' && role === 'operator') {
    const button = make('button', 'Reset …');
    button.type = 'button';
    button.id = 'reset';
    button.addEventListener('click', reset);
    node.append(button);
  }
}

function ask(words, yes) {
  const dialog = $('ask');
  text($('ask-text'), words);
  text($('ask-yes'), yes);
  dialog.showModal();
  $('ask-no').focus();
  return new Promise((resolve) => {
    $('ask-yes').onclick = () => { resolve(true); dialog.close(); };
    $('ask-no').onclick = () => { resolve(false); dialog.close(); };
    dialog.oncancel = () => resolve(false);
  });
}

async function reset() {
  const link = shown;
  if (!await ask('Is the way of the robot free, and do all who stand there know?', 'Yes, go on')) return;
  const first = await link.ask({type: 'reset'});
  if (first.type !== 'confirm') { text($('answer'), `refused: ${first.text}`); return; }
  if (!await ask('Reset the stop now? The robot obeys the next instruction.', 'Yes, reset')) return;
  const answer = await link.ask({type: 'reset', code: first.code});
  $('answer').className = answer.done ? 'yes' : 'no';
  text($('answer'), answer.done ? answer.text : `not reset: ${answer.text}`);
}

$('stop').addEventListener('click', stop);
document.addEventListener('keydown', (event) => { if (event.key === 'Escape' && !$('ask').open && mayStop) stop(); });
setInterval(() => { if (links.length) render(); else stopState(); }, 250);

// ---- begin ----

examples();
const token = new URLSearchParams(location.hash.slice(1)).get('token');
if (token) { history.replaceState(null, '', '/'); login(token); } else enter();
