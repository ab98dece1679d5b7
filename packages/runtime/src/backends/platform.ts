/** True in a browser or a browser worker, false in Node. */
export function isBrowser(): boolean {
  return typeof process === 'undefined' || process.versions?.node == null;
}
