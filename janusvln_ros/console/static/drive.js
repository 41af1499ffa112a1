// Hold to drive: keys, a stick to drag, a gamepad. Whatever lets go, hides or ends is zero.

const PERIOD = 50; // ms between two messages
const DEAD = 0.15; // of a stick's way that counts for nothing
const KEYS = {
  w: [1, 0], s: [-1, 0], a: [0, 1], d: [0, -1],
  arrowup: [1, 0], arrowdown: [-1, 0], arrowleft: [0, 1], arrowright: [0, -1],
};

export class Wheel {
  // send: sends a message; drop: gives the wheel back
  constructor(stick, knob, send, drop) {
    Object.assign(this, {stick, knob, send, held: new Set(), drag: [0, 0], timer: 0});
    document.addEventListener('keydown', (event) => this.key(event, true));
    document.addEventListener('keyup', (event) => this.key(event, false));
    stick.addEventListener('pointerdown', (event) => { stick.setPointerCapture(event.pointerId); stick.focus(); this.move(event); });
    stick.addEventListener('pointermove', (event) => { if (stick.hasPointerCapture(event.pointerId)) this.move(event); });
    for (const end of ['pointerup', 'pointercancel', 'lostpointercapture']) stick.addEventListener(end, () => this.centre());
    stick.addEventListener('contextmenu', (event) => { event.preventDefault(); event.stopPropagation(); }); // of a finger that rests
    addEventListener('blur', () => this.release());
    addEventListener('contextmenu', () => this.release());
    document.addEventListener('visibilitychange', () => { if (document.hidden && this.timer) { this.release(); drop(); } });
    addEventListener('pagehide', () => { if (this.timer) { this.release(); drop(); } });
  }

  start() {
    if (!this.timer) this.timer = setInterval(() => this.tell(), PERIOD);
  }

  end() {
    clearInterval(this.timer);
    this.timer = 0;
    this.held.clear();
    this.centre();
  }

  release() {
    this.held.clear();
    this.centre();
    if (this.timer) this.tell();
  }

  key(event, down) {
    const name = event.key.toLowerCase();
    if (!(name in KEYS)) return;
    const writes = event.target instanceof Element && event.target.matches('input, textarea');
    if (down && (!this.timer || writes || event.ctrlKey || event.altKey || event.metaKey)) return;
    if (!down && !this.held.has(name)) return;
    event.preventDefault();
    if (down) this.held.add(name); else this.held.delete(name);
    if (!event.repeat) this.tell();
  }

  move(event) {
    const box = this.stick.getBoundingClientRect();
    const reach = Math.min(box.width, box.height) / 2 - 20;
    const across = (event.clientX - box.left - box.width / 2) / reach;
    const along = (event.clientY - box.top - box.height / 2) / reach;
    const length = Math.max(1, Math.hypot(across, along));
    this.drag = [-along / length, -across / length];
    this.knob.style.transform = `translate(${across / length * reach}px, ${along / length * reach}px)`;
  }

  centre() {
    this.drag = [0, 0];
    this.knob.style.transform = '';
    if (this.timer) this.tell();
  }

  wanted() {
    let [linear, angular] = this.drag.map((share) => (Math.abs(share) < DEAD ? 0 : share));
    for (const name of this.held) {
      linear += KEYS[name][0];
      angular += KEYS[name][1];
    }
    for (const pad of navigator.getGamepads ? navigator.getGamepads() : []) {
      if (!pad || !pad.connected || pad.axes.length < 2) continue;
      const [across, along] = pad.axes;
      if (Math.abs(along) > DEAD) linear -= along;
      if (Math.abs(across) > DEAD) angular -= across;
    }
    return [linear, angular].map((share) => Math.max(-1, Math.min(1, share)));
  }

  tell() {
    if (!this.timer) return;
    const [linear, angular] = document.hidden ? [0, 0] : this.wanted();
    this.send({type: 'drive', linear, angular, time: performance.now() / 1000});
  }
}
