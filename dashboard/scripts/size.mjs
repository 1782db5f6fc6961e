/** Fails when the page outgrows what a first visit may cost: 250 kB gzipped, all files together. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const LIMIT_BYTES = 250_000;
const dist = fileURLToPath(new URL('../dist/', import.meta.url));

let total = 0;
for (const entry of await readdir(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  const bytes = gzipSync(await readFile(path), { level: 9 }).length;
  total += bytes;
  console.log(`${String(bytes).padStart(7)}  ${path.slice(dist.length)}`);
}
console.log(`${String(total).padStart(7)}  total, gzipped (limit ${LIMIT_BYTES})`);
if (total === 0 || total > LIMIT_BYTES) process.exit(1);
