/** Colours of lines in order; defined for light and dark in the page's style. */
export const SERIES_COLOURS = [1, 2, 3, 4, 5, 6, 7, 8].map((number) => `var(--series-${number})`);
