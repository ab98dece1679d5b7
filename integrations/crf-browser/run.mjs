// Loads the packed tarball of @auxseg/crf in headless Chromium, once as plain modules (an import map, no bundler) and once
// bundled by Vite, and checks kernel, sessions and worker pool there.
//
//   node integrations/crf-browser/run.mjs
//
// Needs packages/crf built, and Chromium: CHROMIUM_PATH, or a system one (apt-get install chromium). Without it, this says
// so and ends with exit code 0.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findChromium, serveFolder } from '../chromium.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const executablePath = findChromium();
if (!executablePath) process.exit(0);
if (!existsSync(join(root, 'packages', 'crf', 'dist', 'index.js'))) {
  console.error('Expected packages/crf/dist; run npm run build first.');
  process.exit(1);
}

const work = mkdtempSync(join(tmpdir(), 'crf-browser-'));
const failures = [];
try {
  prepare();
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({ executablePath, args: ['--headless', '--no-sandbox'] });
  try {
    await check(browser, 'plain modules', work);
    if (bundle()) await check(browser, 'bundled by Vite', join(work, 'bundled'));
  } finally {
    await browser.close();
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
if (failures.length > 0) {
  console.error(failures.join('\n'));
  process.exit(1);
}

/** A page's folder with the tarball as its only package. */
function prepare() {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const packed = spawnSync(
    npm,
    ['pack', '--silent', '--pack-destination', work, '--workspace', 'packages/crf'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  const tarball = readdirSync(work).find((name) => name.endsWith('.tgz'));
  if (packed.status !== 0 || !tarball) throw new Error(`npm pack failed:\n${packed.stdout}${packed.stderr}`);
  // The package has no dependencies, so unpacking is installing.
  const target = join(work, 'node_modules', '@auxseg', 'crf');
  mkdirSync(target, { recursive: true });
  const unpacked = spawnSync('tar', ['xzf', join(work, tarball), '--strip-components=1', '-C', target]);
  if (unpacked.status !== 0) throw new Error(`tar failed: ${unpacked.stderr}`);
  for (const name of ['page.mjs', 'vite.config.mjs']) cpSync(join(here, name), join(work, name));
  writeFileSync(
    join(work, 'index.html'),
    `<!doctype html><title>crf</title>
<script type="importmap">{ "imports": { "@auxseg/crf": "./node_modules/@auxseg/crf/dist/index.js" } }</script>
<script type="module" src="./page.mjs"></script>`,
  );
}

function bundle() {
  // The import map is for the other variant; Vite resolves the package itself.
  const page = join(work, 'index.html');
  const html = readFileSync(page, 'utf8');
  writeFileSync(page, html.replace(/<script type="importmap">.*<\/script>\n/, ''));
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  const result = spawnSync(process.execPath, [vite, 'build'], { cwd: work, encoding: 'utf8' });
  const said = `${result.stdout}${result.stderr}`.trim();
  if (result.status !== 0) failures.push(`Vite failed:\n${said}`);
  else if (/warn/i.test(said)) failures.push(`Vite warned:\n${said}`);
  return result.status === 0;
}

async function check(browser, name, folder) {
  const server = await serveFolder(folder);
  const page = await browser.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(`page error: ${error}`));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning')
      problems.push(`console: ${message.text()}`);
  });
  try {
    await page.goto(`http://127.0.0.1:${server.address().port}/index.html`);
    await page.waitForFunction('globalThis.results !== undefined', undefined, { timeout: 120_000 });
    const results = await page.evaluate('globalThis.results');
    const wanted = {
      implementation: 'wasm',
      sessionSameBits: true,
      poolSameBits: true,
      inOrder: [7 * 33 * 27, 2 * 70 * 41, 7 * 33 * 27],
      aborted: 'AbortError',
      badValue: 'bad-option',
      helper: true,
    };
    const { simdAgainstPlain, ...exact } = results;
    if (JSON.stringify(exact) !== JSON.stringify(wanted) || !(simdAgainstPlain <= 1e-5)) {
      problems.push(`got ${JSON.stringify(results)}`);
    }
    console.log(`${name}: ${problems.length === 0 ? 'passed' : 'FAILED'} (Chromium ${browser.version()})`);
  } catch (error) {
    problems.push(String(error));
  } finally {
    await page.close();
    server.close();
  }
  failures.push(...problems.map((problem) => `${name}: ${problem}`));
}
