import { DatasetError } from './dataset-error.js';

/** One row of a table. */
export interface CsvRow {
  /** Where it begins in the file, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

/**
 * Parses comma, semicolon or tab separated text with quoted fields (RFC 4180). The separator is the one of the three that the first line holds most of;
 * blank lines are skipped. `where` is named in errors.
 * @throws DatasetError 'bad-labels' for a quote that is not closed.
 */
export function parseCsv(text: string, where: string): CsvRow[] {
  const first = text.split(/\r\n|\n|\r/, 1)[0];
  const separator = [',', ';', '\t'].reduce(
    (best, s) => (first.split(s).length > first.split(best).length ? s : best),
    ',',
  );
  const rows: CsvRow[] = [];
  let fields: string[] = [];
  let field = '';
  let line = 1;
  let rowLine = 1;
  let quoteLine = 0; // 0 = outside quotes
  const endRow = (): void => {
    fields.push(field.trim());
    if (fields.length > 1 || fields[0] !== '') rows.push({ line: rowLine, fields });
    fields = [];
    field = '';
  };
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    const endsLine = c === '\n' || (c === '\r' && text[i + 1] !== '\n');
    if (endsLine) line++;
    if (quoteLine > 0) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') {
        field += '"';
        i++;
      } else quoteLine = 0;
    } else if (c === '"' && field.trim() === '') quoteLine = line;
    else if (c === separator) {
      fields.push(field.trim());
      field = '';
    } else if (endsLine) {
      endRow();
      rowLine = line;
    } else if (c !== '\r') field += c;
  }
  if (quoteLine > 0) {
    throw new DatasetError(
      'bad-labels',
      `Expected every quote (") in ${where} to be closed, the one in line ${quoteLine} is not. Close it, or write a quote within a name twice.`,
      { file: where, line: quoteLine },
    );
  }
  if (field !== '' || fields.length > 0) endRow();
  return rows;
}
