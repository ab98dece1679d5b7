// Checks backend webgpu against cpu on a software adapter: gradients, losses, training steps, and that failures are aloud.
//
//   node integrations/webgpu-browser/run.mjs           in headless Chromium (CHROMIUM_PATH, or a system one)
//   node integrations/webgpu-browser/run.mjs --node    in Node, with the package "webgpu" (Dawn): AUXSEG_WEBGPU names its
//                                                      folder where it is not installed here; a Vulkan driver is needed
//   --steps 3: training steps of the smallest network, on either
//
// In Node without a GPU, SwiftShader as it comes with Chromium will do:
//   VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json LD_LIBRARY_PATH=/usr/lib/chromium
// Needs the packages built. Exit code 0: passed, or skipped with the reason; 1: failed.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findChromium, serveFolder } from '../chromium.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
if (!existsSync(join(root, 'packages', 'auxsegnet', 'dist', 'index.js'))) {
  console.error('Expected the packages built; run npm run build first.');
  process.exit(1);
}
const { values: args } = parseArgs({
  options: { node: { type: 'boolean', default: false }, steps: { type: 'string', default: '3' } },
});
process.exit(args.node ? await inNode() : await inChromium());

async function inNode() {
  const { listBackends } = await import('@auxseg/runtime');
  const status = (await listBackends()).find(({ name }) => name === 'webgpu');
  if (!status.available) {
    console.log(`Skipped: ${status.reason}`);
    return 0;
  }
  const { runChecks } = await import('./checks.mjs');
  return (await runChecks((line) => console.log(line), Number(args.steps))) === 0 ? 0 : 1;
}

async function inChromium() {
  const executablePath = findChromium();
  if (!executablePath) return 0;
  const { build } = await import('vite');
  const { chromium } = await import('playwright-core');
  const work = mkdtempSync(join(tmpdir(), 'webgpu-browser-'));
  let server;
  let browser;
  try {
    await build({
      configFile: false,
      logLevel: 'error',
      root: here,
      build: { outDir: work, emptyOutDir: true, minify: false, target: 'esnext' },
    });
    server = await serveFolder(work);
    browser = await chromium.launch({
      executablePath,
      args: [
        '--headless',
        '--no-sandbox',
        '--enable-unsafe-webgpu',
        '--use-webgpu-adapter=swiftshader',
        '--enable-features=Vulkan',
      ],
    });
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.error(`page error: ${error}`));
    await page.goto(`http://127.0.0.1:${server.address().port}/index.html?steps=${args.steps}`);
    if (
      !(await page.evaluate('navigator.gpu?.requestAdapter().then((adapter) => adapter != null) ?? false'))
    ) {
      console.log('Skipped: this Chromium has no WebGPU adapter.');
      return 0;
    }
    console.log(`Chromium ${browser.version()}`);
    for (let shown = 0; ; ) {
      await page.waitForFunction(
        `globalThis.failed !== undefined || globalThis.lines?.length > ${shown}`,
        undefined,
        { timeout: 300_000 },
      );
      const { lines, failed } = await page.evaluate(
        '({ lines: globalThis.lines, failed: globalThis.failed })',
      );
      for (const line of lines.slice(shown)) console.log(line);
      shown = lines.length;
      if (failed !== undefined) return failed === 0 ? 0 : 1;
    }
  } finally {
    await browser?.close();
    server?.close();
    rmSync(work, { recursive: true, force: true });
  }
}
