// Checks backend webgpu against cpu on a software adapter: gradients, losses, training steps, and that failures are aloud.
//
//   node integrations/webgpu-browser/run.mjs           in headless Chromium (CHROMIUM_PATH, or a system one)
//   node integrations/webgpu-browser/run.mjs --node    in Node, with the package "webgpu" (Dawn) 0.6.2 or newer:
//                                                      AUXSEG_WEBGPU names the folder where it is not installed here
//   --steps 3: training steps of the smallest network, on either; 4 to 17 s each on two cores, by what else
//              they have to do, and twice that for the first, which compiles the shaders
//   --limit 600: seconds after which it counts as failed
//
// Node takes the Vulkan driver that VK_ICD_FILENAMES names, or else SwiftShader as it comes with Chromium, or else the
// system's. Needs the packages built. Exit code 0: passed, or skipped with the reason; 1: failed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
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
  options: {
    node: { type: 'boolean', default: false },
    steps: { type: 'string', default: '3' },
    limit: { type: 'string', default: '600' },
  },
});
const [steps, limit] = [Number(args.steps), Number(args.limit)];
if (!Number.isInteger(steps) || steps < 0 || !(limit > 0)) {
  console.error(`Expected numbers for --steps and --limit, got ${args.steps} and ${args.limit}.`);
  process.exit(1);
}
const tooLate = `Expected the checks to end within ${limit} s, but they did not. A software adapter needs idle cores: try again on a less busy machine, with fewer --steps or a higher --limit.`;
process.exit(args.node ? inNode() : await inChromium());

/** In a process of its own: the loader takes its driver from the environment, and native code can hang or crash. */
function inNode() {
  const { status, signal, error } = spawnSync(process.execPath, [join(here, 'node.mjs'), String(steps)], {
    stdio: 'inherit',
    env: { ...process.env, ...softwareDriver() },
    timeout: limit * 1000,
    killSignal: 'SIGKILL',
  });
  if (error) console.error(error.code === 'ETIMEDOUT' ? tooLate : error.message);
  else if (signal) console.error(`Expected the checks to end by themselves, but ${signal} ended them.`);
  return status ?? 1;
}

/** Environment that makes Chromium's SwiftShader the Vulkan driver, unless another one is named or there is none. */
function softwareDriver() {
  const { CHROMIUM_PATH, LD_LIBRARY_PATH, VK_DRIVER_FILES, VK_ICD_FILENAMES } = process.env;
  if (VK_DRIVER_FILES || VK_ICD_FILENAMES) return {};
  const folders = ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome'];
  if (CHROMIUM_PATH && existsSync(CHROMIUM_PATH)) folders.unshift(dirname(realpathSync(CHROMIUM_PATH)));
  const folder = folders.find((one) => existsSync(join(one, 'vk_swiftshader_icd.json')));
  if (!folder) return {};
  return {
    VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json'),
    // Its loader, libvulkan.so.1, lies there too.
    LD_LIBRARY_PATH: LD_LIBRARY_PATH ? `${LD_LIBRARY_PATH}${delimiter}${folder}` : folder,
  };
}

async function inChromium() {
  const executablePath = findChromium();
  if (!executablePath) return 0;
  const { build } = await import('vite');
  const { chromium } = await import('playwright-core');
  const deadline = performance.now() + limit * 1000;
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
    await page.goto(`http://127.0.0.1:${server.address().port}/index.html?steps=${steps}`);
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
        { timeout: Math.max(1, deadline - performance.now()) },
      );
      const { lines, failed } = await page.evaluate(
        '({ lines: globalThis.lines, failed: globalThis.failed })',
      );
      for (const line of lines.slice(shown)) console.log(line);
      shown = lines.length;
      if (failed !== undefined) return failed === 0 ? 0 : 1;
    }
  } catch (error) {
    if (error.name !== 'TimeoutError') throw error;
    console.error(tooLate);
    return 1;
  } finally {
    await browser?.close();
    server?.close();
    rmSync(work, { recursive: true, force: true });
  }
}
