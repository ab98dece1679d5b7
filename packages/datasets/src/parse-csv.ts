/**
 * Parses comma, semicolon or tab separated text with quoted fields (RFC 4180): rows of fields. The separator is the one of the three
 * that the first line holds most of; blank lines and a byte-order mark are skipped.
 */
export function parseCsv(text: string): string[][] {
  const plain = text.replace(/^\uFEFF/, '');
  const first = plain.split(/\r\n|\n|\r/, 1)[0];
  const separator = [',', ';', '\t'].reduce(
    (best, s) => (first.split(s).length > first.split(best).length ? s : best),
    ',',
  );
  const rows: string[][] = [];
  let row: string[] = [];
  let field = '';
  let quoted = false;
  const endRow = (): void => {
    row.push(field.trim());
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
    field = '';
  };
  for (let i = 0; i < plain.length; i++) {
    const c = plain[i];
    if (quoted) {
      if (c !== '"') field += c;
      else if (plain[i + 1] === '"') {
        field += '"';
        i++;
      } else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === separator) {
      row.push(field.trim());
      field = '';
    } else if (c === '\n' || c === '\r') {
      if (c === '\r' && plain[i + 1] === '\n') i++;
      endRow();
    } else field += c;
  }
  if (field !== '' || row.length > 0) endRow();
  return rows;
}
