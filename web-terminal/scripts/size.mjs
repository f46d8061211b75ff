// The learner's page must come through a phone's connection: everything it can load, compressed, is held under a limit.
// Counts what lab.html reaches, also what it loads later (WebGL, search, the demonstration player).
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const LIMIT_BYTES = 300 * 1000;
const dist = new URL('../dist/', import.meta.url);
const sizes = new Map();
const first = new Set();

function visit(file, early) {
  if (early) first.add(file);
  if (sizes.has(file)) return;
  const bytes = readFileSync(new URL(file, dist));
  sizes.set(file, gzipSync(bytes, { level: 6 }).length);
  if (!/\.(js|html)$/.test(file)) return;
  const text = bytes.toString('utf8');
  const base = file.includes('/') ? file.slice(0, file.lastIndexOf('/') + 1) : '';
  for (const [, path] of text.matchAll(/(?:src|href)="\/([^"]+)"/g)) visit(path, early);
  for (const [, path] of text.matchAll(/(?:from|import)\s*["'`]\.\/([^"'`]+)["'`]/g)) visit(base + path, early);
  for (const [, path] of text.matchAll(/import\(\s*["'`]\.\/([^"'`]+)["'`]\s*\)/g)) visit(base + path, false);
  for (const [, path] of text.matchAll(/["'`](assets\/[^"'`]+\.(?:css|js))["'`]/g)) visit(path, false);
}

visit('lab.html', true);
const sum = (files) => [...files].reduce((total, file) => total + sizes.get(file), 0);
for (const [file, size] of [...sizes].sort((a, b) => b[1] - a[1])) {
  console.log(`${(size / 1000).toFixed(1).padStart(7)} kB  ${first.has(file) ? 'first' : 'later'}  ${file}`);
}
const total = sum(sizes.keys());
console.log(`learner page: ${(sum(first) / 1000).toFixed(1)} kB at first, ${(total / 1000).toFixed(1)} kB with all it may load later (limit ${LIMIT_BYTES / 1000} kB)`);
if (total > LIMIT_BYTES) {
  console.error(`lab.html reaches ${total} bytes compressed, over the limit of ${LIMIT_BYTES}: load less, or later`);
  process.exit(1);
}
