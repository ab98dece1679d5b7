// What the integrations that run in a browser share: where Chromium is, and a server for a page's folder.
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

/** Path of CHROMIUM_PATH's or the system's Chromium. Without one, says so and returns null: the check is skipped aloud. */
export function findChromium() {
  const candidates = [
    process.env.CHROMIUM_PATH,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  ];
  const path = candidates.find((candidate) => candidate && existsSync(candidate));
  if (!path) console.log('Skipped: no Chromium found (set CHROMIUM_PATH, or apt-get install chromium).');
  return path ?? null;
}

const types = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.map': 'application/json',
  '.wasm': 'application/wasm',
};

/** Serves the files of one folder on a free port of this machine. */
export function serveFolder(folder) {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, 'http://localhost').pathname);
    const file = join(folder, path);
    // Chromium asks for it by itself; a 404 would count as an error of the page.
    if (path === '/favicon.ico') return response.writeHead(204).end();
    if (!file.startsWith(folder) || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': types[extname(file)] ?? 'application/octet-stream' });
    response.end(readFileSync(file));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}
