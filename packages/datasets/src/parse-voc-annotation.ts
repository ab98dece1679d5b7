import { DatasetError } from './dataset-error.js';

/**
 * Lists the class names of the objects in a VOC `Annotations/<id>.xml`, each once, in file order. Body parts (`<part>`) are not
 * objects; objects marked difficult count, as in the conventional image-level labels.
 * @throws DatasetError 'bad-annotation' when the text holds no `<annotation>` element.
 */
export function parseVocAnnotation(xml: string, where: string): string[] {
  if (!/<annotation[\s>]/.test(xml) || !/<\/annotation>/.test(xml)) {
    throw new DatasetError(
      'bad-annotation',
      `Expected a complete <annotation> element in ${where}, found ${xml.length} characters without one. Copy the file again.`,
      { file: where },
    );
  }
  const names = new Set<string>();
  const plain = xml.replace(/<!--[\s\S]*?-->/g, '').replace(/<part\b[\s\S]*?<\/part>/g, '');
  for (const [, object] of plain.matchAll(/<object\b[^>]*>([\s\S]*?)<\/object>/g)) {
    const name = /<name>\s*([^<]*?)\s*<\/name>/.exec(object)?.[1];
    if (name) names.add(name);
  }
  return [...names];
}
