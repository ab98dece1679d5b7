import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseHTML } from 'linkedom';
import { writeExampleRun } from './fixtures/write-example-run.js';
import { createReport, ReportError } from './index.js';

let root = '';
beforeAll(() => {
  root = mkdtempSync(path.join(tmpdir(), 'auxseg-report-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function folder(name: string): string {
  const directory = path.join(root, name);
  mkdirSync(directory, { recursive: true });
  return directory;
}

const text = (element: Element | null) => element?.textContent?.replace(/\s+/g, ' ').trim();
const rows = (document: Document, table: string) =>
  [...document.querySelectorAll(`${table} tbody tr`)].map((row) =>
    [...row.children].map((cell) => text(cell)),
  );

describe('a finished run', () => {
  let page = '';
  let document: Document;
  beforeAll(async () => {
    const runDirectory = folder('finished');
    writeExampleRun(runDirectory);
    page = await createReport({ runDirectory });
    document = parseHTML(page).document as unknown as Document;
    expect(readFileSync(path.join(runDirectory, 'report.html'), 'utf8')).toBe(page);
  });

  test('needs nothing from elsewhere', () => {
    const sources = [...document.querySelectorAll('[src], link, iframe, object')];
    expect(sources.map(({ tagName }) => tagName)).toEqual(Array(26).fill('IMG'));
    for (const source of sources) expect(source.getAttribute('src')).toMatch(/^data:image\/png;base64,iVBOR/);
    expect(page).not.toMatch(/url\(|@import|https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
  });

  test('breaks class names that are longer than their place, in which they would push the numbers off the page', () => {
    expect(page).toMatch(/\.chip \{[^}]*max-width: [^}]*overflow-wrap: anywhere/);
  });

  test('has a table of the pseudo labels and one of the validation scores', () => {
    expect(rows(document, '#pseudo-labels table')).toEqual([
      ['0', '85.6', '42.9', '40.6', '31.0', '0.142', '0.710'],
      ['1', '86.8', '50.9', '47.6', '26.0', '0.131', '0.730'],
      ['2', '88.0', '54.9', '51.1', '21.0', '0.120', '0.750'],
      ['3', '89.2', '56.9', '52.9', '16.0', '0.109', '0.770'],
    ]);
    const validation = rows(document, '#validation .split table');
    expect(validation[0]).toEqual(['1', '59.2', '61.9', '–']);
    expect(validation[2]).toEqual(['3', '61.6', '65.5', '67.6']);
  });

  test('compares with the baselines at the same number of steps, and says what is within noise', () => {
    const tables = [...document.querySelectorAll('#validation table')];
    const baselines = [...tables[1].querySelectorAll('tbody tr')].map((row) => text(row.lastElementChild));
    // Stage 1 for the first (61.9 - 56.9), the last stage for the one that names none.
    expect(baselines).toEqual(['+5.0 stage 1', '+4.7 stage 3']);
    const verdicts = [...document.querySelectorAll('.comparisons tbody tr')].map((row) =>
      text(row.lastElementChild),
    );
    expect(verdicts).toEqual(['better', 'within noise', 'worse', 'better']);
    expect(text(document.querySelector('.comparisons tbody tr:nth-child(3)'))).toContain('−2.1−3.6 to −0.6');
  });

  test('draws a chart for every loss, lines within their frames', () => {
    const titles = [...document.querySelectorAll('.small-charts figcaption')].map((caption) => text(caption));
    expect(titles).toEqual([
      'Total loss',
      'Classification',
      'Saliency, initial head',
      'Saliency, refined head',
      'Segmentation, initial head',
      'Segmentation, refined head',
      'Learning rate',
    ]);
    for (const svg of document.querySelectorAll('.chart svg')) {
      const [, , width, height] = svg.getAttribute('viewBox')!.split(' ').map(Number);
      const lines = [...svg.querySelectorAll('[aria-label="line"] path')];
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) {
        const numbers = line
          .getAttribute('d')!
          .match(/-?[\d.]+/g)!
          .map(Number);
        expect(numbers.every((value, index) => value >= 0 && value <= (index % 2 ? height : width))).toBe(
          true,
        );
      }
    }
    expect(text(document.querySelector('#training .legend'))).toContain('segmentation only, round 1');
  });

  test('shows the pictures of each image in the order of the method, with class colours', () => {
    const strip = document.querySelector('.strip')!;
    expect(text(strip.querySelector('h3'))).toBe('2007_000030 bird');
    expect(strip.querySelector('h3 i')!.getAttribute('style')).toBe('background:rgb(128,0,0)');
    expect([...strip.querySelectorAll('h4')].map((heading) => text(heading))).toEqual([
      'image',
      'class activation',
      'saliency',
      'pseudo labels',
      'result',
      'affinity',
    ]);
    const image = strip.querySelector('img')!;
    expect([image.getAttribute('width'), image.getAttribute('height')]).toEqual(['24', '18']);
  });

  test('escapes what comes from files', () => {
    expect(text(document.querySelector('h1'))).toBe('voc <animals> & co');
    expect(page).toContain('<h1>voc &lt;animals&gt; &amp; co</h1>');
    expect(text(document.querySelector('pre'))).toContain('classes: [bird, cat] # two & more');
  });

  test('is the same every time, and takes a title and a number of images', async () => {
    const runDirectory = path.join(root, 'finished');
    expect(await createReport({ runDirectory })).toBe(page);
    const other = await createReport({ runDirectory, title: 'Mine', imagesPerSplit: 1 });
    expect(other).toContain('<h1>Mine</h1>');
    expect(other.match(/class="card strip"/g)).toHaveLength(1);
    expect(other).toContain('1 more images are in the folder pictures.');
  });
});

describe('an unfinished run', () => {
  test('says in sentences what is not there yet', async () => {
    const runDirectory = folder('started');
    writeFileSync(
      path.join(runDirectory, 'state.json'),
      JSON.stringify({
        name: 'young',
        stages: 2,
        steps: [
          { name: 'train classifier', status: 'done', seconds: 4 },
          { name: 'cams', status: 'running', seconds: 0 },
        ],
      }),
    );
    const page = await createReport({ runDirectory });
    for (const sentence of [
      'at cams',
      'The run has no results yet',
      'The pseudo labels have not been scored',
      'There are no validation scores yet.',
      'No baseline was trained',
      'There are no paired comparisons.',
      'There are no scores by class.',
      'There are no pictures',
      'log.jsonl has no steps yet.',
      'config.yaml is missing',
    ]) {
      expect(page).toContain(sentence);
    }
    expect(page).not.toMatch(/NaN|undefined|Infinity|\[object/);
  });

  test('a log cut off by a kill, one step, a loss that is not finite, a lost picture', async () => {
    const runDirectory = folder('killed');
    writeExampleRun(runDirectory, { images: 1, stepsPerPhase: 1 });
    appendFileSync(
      path.join(runDirectory, 'log.jsonl'),
      '{"phase":"stage-9","step":1,"losses":{"total":null}}\n{"phase":"stage-9","st',
    );
    rmSync(path.join(runDirectory, 'pictures', '2007_000030-0-photo.png'));
    const page = await createReport({ runDirectory });
    expect(page).toContain('1 line(s) of log.jsonl could not be read');
    expect(page).toContain('2007_000030-0-photo.png is missing.');
    expect(page).not.toMatch(/NaN|undefined|Infinity|\[object/);
  });

  test('a summary with one stage, without classes and intervals', async () => {
    const runDirectory = folder('small');
    writeFileSync(
      path.join(runDirectory, 'summary.json'),
      JSON.stringify({
        pseudoLabels: [{ stage: 0, precision: 0.5, recall: 0.25, meanIoU: 0.2 }],
        validation: [{ stage: 1, initial: { meanIoU: 0.5 } }],
        timings: { train: 3.5 },
      }),
    );
    const page = await createReport({ runDirectory });
    expect(page).toContain('initial head, stage 1');
    expect(page).toContain('3.5 s');
    expect(page).not.toMatch(/NaN|undefined|Infinity|\[object/);
  });

  test('pictures outside the run are not read', async () => {
    const runDirectory = folder('sly');
    writeExampleRun(runDirectory, { images: 1 });
    writeFileSync(path.join(root, 'secret.png'), 'secret');
    writeFileSync(
      path.join(runDirectory, 'pictures', 'index.json'),
      JSON.stringify([
        { id: 'x', labels: [], items: [{ title: 't', file: '../../secret.png', kind: 'photo' }] },
      ]),
    );
    const page = await createReport({ runDirectory });
    expect(page).toContain('../../secret.png is missing.');
    expect(page).not.toContain(Buffer.from('secret').toString('base64'));
  });
});

describe('errors', () => {
  test('a folder that is no run, JSON that does not parse, a folder that cannot be written', async () => {
    await expect(createReport({ runDirectory: folder('empty') })).rejects.toMatchObject({
      code: 'NOT_A_RUN_DIRECTORY',
    });
    const broken = folder('broken');
    writeFileSync(path.join(broken, 'summary.json'), '{"classes": [');
    const error = await createReport({ runDirectory: broken }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ReportError);
    expect(error).toMatchObject({ code: 'BAD_FILE', details: { file: path.join(broken, 'summary.json') } });
    const blocked = folder('blocked');
    writeFileSync(path.join(blocked, 'config.yaml'), 'name: x\n');
    mkdirSync(path.join(blocked, 'report.html', 'inner'), { recursive: true });
    await expect(createReport({ runDirectory: blocked })).rejects.toMatchObject({ code: 'UNWRITABLE' });
  });
});
