// What is drawn: the action over the picture, the path from above. Text is never HTML.

export const ACTIONS = []; // the names of the actions by their numbers, as the server tells them

export function text(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

export function make(kind, words, name) {
  const node = document.createElement(kind);
  if (words !== undefined) node.textContent = words;
  if (name) node.className = name;
  return node;
}

export function picture(canvas, bitmap, decision) {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  const pen = canvas.getContext('2d');
  pen.drawImage(bitmap, 0, 0);
  if (decision) arrow(pen, canvas.width, canvas.height, decision.action);
}

function arrow(pen, width, height, action) {
  const size = height / 7;
  pen.save();
  pen.translate(width / 2, height - 1.4 * size);
  pen.lineWidth = size / 4;
  pen.lineJoin = pen.lineCap = 'round';
  if (action === 0) {
    pen.beginPath();
    for (let corner = 0; corner < 8; corner += 1) {
      const turn = (corner + 0.5) * Math.PI / 4;
      pen.lineTo(0.8 * size * Math.cos(turn), 0.8 * size * Math.sin(turn));
    }
    pen.closePath();
    outlined(pen, '#ff7b6e');
  } else {
    pen.rotate([0, 0, -Math.PI / 2, Math.PI / 2][action]);
    pen.beginPath();
    pen.moveTo(0, size);
    pen.lineTo(0, -size);
    pen.moveTo(-0.6 * size, -0.35 * size);
    pen.lineTo(0, -size);
    pen.lineTo(0.6 * size, -0.35 * size);
    outlined(pen, '#63c7ff');
  }
  pen.restore();
}

function outlined(pen, colour) {
  const width = pen.lineWidth;
  pen.strokeStyle = '#000c';
  pen.lineWidth = 1.6 * width;
  pen.stroke();
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.stroke();
}

export function shares(node, decision) {
  if (!decision) { node.replaceChildren(); return; }
  node.setAttribute('aria-label', 'Probabilities: ' + ACTIONS.map(
    (name, action) => `${name} ${Math.round(100 * decision.probabilities[action])} percent`).join(', '));
  node.replaceChildren(...ACTIONS.map((name, action) => {
    const share = decision.probabilities[action];
    const box = make('div', undefined, action === decision.action ? 'chosen' : '');
    const line = make('span');
    line.append(make('b', name), make('span', `${Math.round(100 * share)} %`));
    const bar = make('meter');
    bar.max = 1;
    bar.value = share;
    box.append(line, bar);
    return box;
  }));
}

export function memory(node, parts) {
  const key = [parts.initial, parts.recent, parts.initial_size, parts.recent_size].join();
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  const cells = [];
  const fill = (size, held, name) => {
    for (let cell = 0; cell < size; cell += 1) cells.push(make('i', undefined, name + (cell < held ? ' on' : '')));
  };
  fill(parts.initial_size, parts.initial, 'first');
  if (parts.initial_size) cells.push(make('i', undefined, 'gap'));
  fill(parts.recent_size, parts.recent, '');
  node.replaceChildren(...cells);
}

export function plan(canvas, path, pose, place, image) {
  const pen = canvas.getContext('2d');
  const wide = canvas.width, high = canvas.height;
  pen.clearRect(0, 0, wide, high);
  let box = [-2, -2, 2, 2];
  if (pose) box = [pose.x - 2, pose.y - 2, pose.x + 2, pose.y + 2];
  for (const [x, y] of path) box = [Math.min(box[0], x), Math.min(box[1], y), Math.max(box[2], x), Math.max(box[3], y)];
  if (place) box = [place.x, place.y, place.x + place.width, place.y + place.height];
  const scale = Math.min((wide - 24) / (box[2] - box[0]), (high - 24) / (box[3] - box[1]));
  const at = (x, y) => [wide / 2 + scale * (x - (box[0] + box[2]) / 2), high / 2 - scale * (y - (box[1] + box[3]) / 2)];
  if (place && image && image.complete && image.naturalWidth) {
    const [left, top] = at(place.x, place.y + place.height);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, left, top, scale * place.width, scale * place.height);
  } else {
    pen.strokeStyle = '#222a32';
    pen.lineWidth = 1;
    for (let x = Math.ceil(box[0]); x <= box[2]; x += 1) line(pen, at(x, box[1]), at(x, box[3]));
    for (let y = Math.ceil(box[1]); y <= box[3]; y += 1) line(pen, at(box[0], y), at(box[2], y));
  }
  pen.strokeStyle = '#0a6ebd';
  pen.lineWidth = 3;
  pen.beginPath();
  for (const [x, y] of path) pen.lineTo(...at(x, y));
  pen.stroke();
  const metre = at(1, 0)[0] - at(0, 0)[0];
  pen.fillStyle = '#e8edf2';
  pen.fillRect(10, high - 14, metre, 3);
  pen.font = '13px system-ui, sans-serif';
  pen.fillText('1 m', 10, high - 20);
  if (!pose) return;
  pen.save();
  pen.translate(...at(pose.x, pose.y));
  pen.rotate(-pose.yaw);
  pen.beginPath();
  pen.moveTo(13, 0);
  pen.lineTo(-9, 8);
  pen.lineTo(-5, 0);
  pen.lineTo(-9, -8);
  pen.closePath();
  pen.fillStyle = '#ff9d2e';
  pen.strokeStyle = '#000';
  pen.lineWidth = 2;
  pen.fill();
  pen.stroke();
  pen.restore();
}

function line(pen, from, to) {
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
}
